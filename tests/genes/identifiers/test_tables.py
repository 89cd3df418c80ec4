"""HGNC's and MGI's tables, the package's own, and what is said of a file that is none of them."""

import gzip
import re

import pytest

from stainscript.errors import DataContractError
from stainscript.genes.identifiers.tables import GeneRecord, read_gene_table

HGNC = [
    "hgnc_id\tsymbol\tname\tstatus\talias_symbol\tprev_symbol\tdate_modified\tensembl_gene_id",
    'HGNC:1\tATP5F1B\tATP synthase\tApproved\t\t"ATPSB|ATP5B"\t2024-03-01\tENSG00000110955',
    'HGNC:2\tTP53\ttumor protein\tApproved\t"p53|LFS1"\t\t2024-10-18\tENSG00000141510',
    "HGNC:3\tGONE\told entry\tEntry Withdrawn\t\t\t2020-01-01\t",
    "HGNC:4\tNOID\tno gene model\tApproved\tonly\t\t2019-01-01\t",
]
MGI_HEAD = (
    "MGI Accession ID\tChr\tcM Position\tgenome coordinate start\tgenome coordinate end\tstrand\tMarker Symbol\t"
    "Status\tMarker Name\tMarker Type\tFeature Type\tMarker Synonyms (pipe-separated)"
)
MGI_MORE = "\tCurrent MGI Accession ID (if withdrawn)\tCurrent Marker Symbol (if withdrawn)"


def marker(accession, symbol, status, kind, synonyms="", now=None):
    row = [accession, "10", "76.39", "1", "2", "-", symbol, status, '"a name', kind, "", synonyms]
    return "\t".join(row if now is None else [*row, *now])


MGI_LIST1 = [
    MGI_HEAD + MGI_MORE,
    marker("MGI:107801", "Atp5f1b", "O", "Gene", "Atpsyn-b|x", ("", "")),
    marker("MGI:107801", "Atp5b", "W", "Gene", "", ("MGI:107801", "Atp5f1b")),
    marker("MGI:2", "Gm1", "I", "Pseudogene", "", ("", "")),
    marker("MGI:3", "Del1", "O", "Cytogenetic Marker", "", ("", "")),
    marker("MGI:4", "Lost", "W", "Gene", "", ("", "")),
]
LINKS = [
    "MGI:107801\tAtp5f1b\tATP synthase\t76.39\t10\tENSMUSG00000025393\tENSMUST00000026459\t\tprotein coding gene",
    "MGI:107801\tAtp5f1b\tATP synthase\t76.39\t10\tENSMUSG00000099999\t\t\t",
    "MGI:2\tGm1\tmodel\t1\t1\tMGP_C57BL6NJ_G1\t\t\t",
]


def put(path, lines):
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def mgi(tmp_path):
    put(tmp_path / "mgi/MRK_List1.rpt", MGI_LIST1)
    put(tmp_path / "mgi/MRK_ENSEMBL.rpt", LINKS)
    return tmp_path / "mgi"


def test_hgnc_gives_the_approved_genes_with_their_lists_unquoted(tmp_path):
    table = read_gene_table(put(tmp_path / "hgnc_complete_set.txt", HGNC), species="human")
    assert table.genes == (
        GeneRecord("ATP5F1B", "ENSG00000110955", ("ATPSB", "ATP5B"), ()),
        GeneRecord("TP53", "ENSG00000141510", (), ("p53", "LFS1")),
        GeneRecord("NOID", "", (), ("only",)),
    )


def test_the_release_of_hgnc_is_its_newest_date(tmp_path):
    assert read_gene_table(put(tmp_path / "h.txt", HGNC), species="human").release == "HGNC 2024-10-18"


def test_a_gzipped_table_is_read_as_it_is(tmp_path):
    plain = put(tmp_path / "h.txt", HGNC)
    packed = tmp_path / "h.txt.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_gene_table(packed, species="human") == read_gene_table(plain, species="human")


def test_a_withdrawn_marker_is_a_previous_symbol_of_the_one_that_replaced_it(mgi):
    """Synonyms are aliases; only genes and pseudogenes count; a quotation mark in a name swallows no row.

    Of two Ensembl ids of a marker the first counts; an id of another strain's assembly is none.
    """
    assert read_gene_table(mgi, species="mouse").genes == (
        GeneRecord("Atp5f1b", "ENSMUSG00000025393", ("Atp5b",), ("Atpsyn-b", "x")),
        GeneRecord("Gm1", "", (), ()),
    )


def test_a_marker_list_alone_has_no_ensembl_ids_and_list_2_no_previous_symbols(tmp_path):
    rows = [MGI_HEAD, marker("MGI:107801", "Atp5f1b", "O", "Gene", "Atp5b")]
    table = read_gene_table(put(tmp_path / "MRK_List2.rpt", rows), species="mouse")
    assert table.genes == (GeneRecord("Atp5f1b", "", (), ("Atp5b",)),)
    assert re.fullmatch(r"MGI MRK_List2\.rpt sha256 [0-9a-f]{12}", table.release)


def test_our_own_columns_make_a_table_of_either_species(tmp_path):
    rows = [
        "# release: mine",
        "symbol\tensembl_gene_id\tprev_symbol\talias_symbol",
        "Kit\tENSMUSG00000005672\tW\tc-kit|Sl",
    ]
    table = read_gene_table(put(tmp_path / "own.tsv", rows), species="mouse")
    assert table.release == "mine"
    assert table.genes == (GeneRecord("Kit", "ENSMUSG00000005672", ("W",), ("c-kit", "Sl")),)


OWN = "symbol\tensembl_gene_id\tprev_symbol\talias_symbol"
BAD = {
    "an empty file": ([], "human", "file", "an empty file"),
    "a web page": (["", "<!DOCTYPE html>", "<html>"], "human", "file", "a web page"),
    "other columns": (["gene\tid", "TP53\t7157"], "human", "columns", "gene, id"),
    "a cut-off file": ([*HGNC, "HGNC:5\tBRCA1\tBRC"], "human", "columns", r"3 in row 5 \(HGNC:5\)"),
    "a human table for mouse": (HGNC, "mouse", "species", "human genes"),
    "a mouse table for human": (MGI_LIST1, "human", "species", "mouse genes"),
    "mouse ids in a human table": (
        [OWN, "KIT\tENSMUSG00000005672\t\t"],
        "human",
        "ensembl_gene_id",
        "ENSMUSG00000005672",
    ),
    "a repeated symbol": ([OWN, "KIT\t\t\t", "KIT\t\t\t"], "human", "symbol", "'KIT' again"),
    "no gene in use": ([HGNC[0], HGNC[3]], "human", "rows", "none"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_table_is_one_error_that_says_where_to_get_a_good_one(tmp_path, case):
    lines, species, field, found = BAD[case]
    address = {"human": "genenames.org/download/archive", "mouse": "informatics.jax.org/downloads/reports"}[species]
    path = put(tmp_path / "table.txt", lines)
    with pytest.raises(DataContractError, match=f"table.txt: {field}: .*{found}.*Remedy: .*{address}"):
        read_gene_table(path, species=species)


def test_an_absent_table_is_named(tmp_path):
    with pytest.raises(DataContractError, match=r"nowhere.txt: file: .*no such file.*genenames.org"):
        read_gene_table(tmp_path / "nowhere.txt", species="human")


def test_a_file_that_only_says_it_is_gzipped_is_refused(tmp_path):
    with pytest.raises(DataContractError, match=r"table.txt.gz: file: .*[Nn]ot a gzipped file"):
        read_gene_table(put(tmp_path / "table.txt.gz", HGNC), species="human")


def test_a_folder_without_the_links_to_ensembl_is_refused(mgi):
    (mgi / "MRK_ENSEMBL.rpt").unlink()
    with pytest.raises(DataContractError, match=r"files: expected .*MRK_ENSEMBL.rpt; found MRK_List1.rpt\."):
        read_gene_table(mgi, species="mouse")


def test_links_that_are_no_links_are_refused(mgi):
    put(mgi / "MRK_ENSEMBL.rpt", ["MGI:1\tKit\tname"])
    with pytest.raises(DataContractError, match=r"MRK_ENSEMBL.rpt: columns: .*MGI:1\tKit\tname"):
        read_gene_table(mgi, species="mouse")


@pytest.mark.parametrize("species", ["human", "mouse"])
def test_the_built_in_tables_are_sorted_and_contradict_themselves_nowhere(repository, species):
    table = read_gene_table(repository / f"src/stainscript/genes/data/aliases_{species}.tsv", species=species)
    symbols = [gene.symbol for gene in table.genes]
    ids = [gene.ensembl for gene in table.genes if gene.ensembl]
    assert symbols == sorted(symbols)
    assert len(ids) == len(set(ids)) >= len(symbols) - 1
    previous = {name for gene in table.genes for name in gene.previous}
    aliases = {name for gene in table.genes for name in gene.aliases}
    assert not previous & set(symbols)
    assert not aliases & (set(symbols) | previous)
    assert all(re.fullmatch(r"ENS(MUS)?G\d{11}", identity) for identity in ids)
    assert table.release.startswith("built in, checked against")
