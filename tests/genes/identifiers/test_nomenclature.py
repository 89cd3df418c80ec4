"""Genes of a slide under one nomenclature: what maps, what merges, and that no count is lost."""

import gzip
import json
import warnings

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from stainscript.errors import DataContractError
from stainscript.genes.identifiers.names import GeneNames, builtin
from stainscript.genes.identifiers.nomenclature import harmonise
from stainscript.genes.identifiers.tables import GeneRecord, GeneTable

NAMES = GeneNames.of(
    GeneTable(
        species="human",
        release="test",
        genes=(
            GeneRecord("ATP5F1B", "ENSG00000110955", ("ATP5B",), ("ATPMB",)),
            GeneRecord("TP53", "ENSG00000141510", (), ("p53", "SHARED")),
            GeneRecord("KRT7", "ENSG00000135480", (), ("SHARED", "K7")),
            GeneRecord("NOID", "", ("OLDNOID",), ()),
        ),
    )
)


def slide(names, counts, symbols=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a published table may repeat a name
        return anndata.AnnData(
            sparse.csr_matrix(np.array(counts, dtype=np.int32)),
            obs=pd.DataFrame(index=[f"s{n}" for n in range(len(counts))]),
            var=pd.DataFrame({"symbol": list(symbols or names)}, index=list(names)),
            obsm={"grid": np.arange(2 * len(counts)).reshape(-1, 2)},
            uns={"slide": "A1"},
        )


MIXED = slide(["TP53", "ATP5B", "NOTHING", "ATP5F1B", "SHARED"], [[1, 2, 3, 4, 5], [0, 7, 0, 0, 1]])


def test_columns_of_one_gene_are_added_while_they_are_counts():
    """ATP5B and ATP5F1B are one gene: 2 + 4 and 7 + 0, at the place of the first."""
    result, report = harmonise(MIXED, names=NAMES, to="symbol")
    assert list(result.var_names) == ["TP53", "ATP5F1B", "NOTHING", "SHARED"]
    assert result.X.toarray().tolist() == [[1, 6, 3, 5], [0, 7, 0, 1]]
    assert result.X.dtype == np.int32
    assert sparse.issparse(result.X)
    assert list(result.var["published"]) == ["TP53", "ATP5B|ATP5F1B", "NOTHING", "SHARED"]
    assert report.merged == {"ATP5F1B": ("ATP5B", "ATP5F1B")}


def test_the_report_counts_every_name_once():
    _, report = harmonise(MIXED, names=NAMES, to="symbol")
    assert (report.species, report.release, report.to, report.gene_merge) == ("human", "test", "symbol", "sum")
    assert (report.genes_before, report.genes_after, report.unchanged) == (5, 4, 2)
    assert report.by_previous == {"ATP5B": "ATP5F1B"}
    assert report.unmapped == ("NOTHING",)
    assert report.ambiguous == {"SHARED": ("KRT7", "TP53")}
    groups = ("unchanged", "by_current", "by_ensembl", "by_previous", "by_alias", "unmapped", "ambiguous", "kept_apart")
    assert sum(report.numbers[group] for group in groups) == 5


def test_symbols_become_ensembl_ids_and_ids_lose_their_version():
    adata = slide(["K7", "ENSG00000141510.18", "OLDNOID", "ENSG00000999999.2", "ATP5F1B"], [[1, 2, 3, 4, 5]])
    result, report = harmonise(adata, names=NAMES, to="ensembl")
    ids = ["ENSG00000135480", "ENSG00000141510", "OLDNOID", "ENSG00000999999", "ENSG00000110955"]
    assert list(result.var_names) == ids
    assert list(result.var["symbol"]) == ["KRT7", "TP53", "NOID", "ENSG00000999999.2", "ATP5F1B"]
    assert report.by_alias == {"K7": "ENSG00000135480"}
    assert (report.by_ensembl, report.by_current, report.unmapped) == (2, 1, ("OLDNOID",))


def test_ensembl_ids_become_symbols_and_an_id_that_the_table_lacks_stays():
    adata = slide(
        ["ENSG00000110955.14", "ENSG00000999999.2", "ENSG00000141510-1"], [[1, 2, 3]], ["ATP5B", "LNC1", "TP53"]
    )
    result, report = harmonise(adata, names=NAMES, to="symbol")
    assert list(result.var_names) == ["ATP5F1B", "ENSG00000999999.2", "ENSG00000141510-1"]
    assert list(result.var["symbol"]) == ["ATP5F1B", "LNC1", "TP53"]
    assert (report.by_ensembl, report.unmapped) == (1, ("ENSG00000999999.2", "ENSG00000141510-1"))


def test_an_alias_that_is_counted_beside_its_gene_is_not_that_gene():
    result, report = harmonise(slide(["K7", "KRT7"], [[1, 2]]), names=NAMES, to="symbol")
    assert list(result.var_names) == ["K7", "KRT7"]
    assert report.kept_apart == {"K7": "KRT7"}
    alone, report = harmonise(slide(["K7", "TP53"], [[1, 2]]), names=NAMES, to="symbol")
    assert list(alone.var_names) == ["KRT7", "TP53"]
    assert report.kept_apart == {}


def test_published_names_merge_only_when_they_are_the_same():
    adata = slide(["ATP5B", "X", "ATP5F1B", "X"], [[1, 2, 3, 4]])
    result, report = harmonise(adata, names=NAMES, to="published")
    assert list(result.var_names) == ["ATP5B", "X", "ATP5F1B"]
    assert result.X.toarray().tolist() == [[1, 6, 3]]
    assert list(result.var.columns) == ["symbol"]
    assert report.merged == {"X": ("X", "X")}


def test_the_release_rule_keeps_the_first_column_and_drops_the_rest():
    """STAMP's tokeniser: later columns of a gene fall out."""
    result, report = harmonise(MIXED, names=NAMES, to="symbol", gene_merge="first")
    assert result.X.toarray().tolist() == [[1, 2, 3, 5], [0, 7, 0, 1]]
    assert report.gene_merge == "first"
    assert report.merged == {"ATP5F1B": ("ATP5B", "ATP5F1B")}


def test_spots_coordinates_layers_and_the_input_stay():
    adata = MIXED.copy()
    adata.layers["twice"] = adata.X * 2
    result, _ = harmonise(adata, names=NAMES, to="symbol")
    assert result.layers["twice"].toarray().tolist() == [[2, 12, 6, 10], [0, 14, 0, 2]]
    assert list(result.obs_names) == ["s0", "s1"]
    assert result.obsm["grid"].tolist() == [[0, 1], [2, 3]]
    assert result.uns["slide"] == "A1"
    assert list(adata.var_names) == list(MIXED.var_names)
    assert list(adata.var.columns) == ["symbol"]


def test_the_report_is_written_as_json_with_its_numbers(tmp_path):
    _, report = harmonise(MIXED, names=NAMES, to="symbol")
    report.write(tmp_path / "report.json")
    written = json.loads((tmp_path / "report.json").read_text())
    assert written["merged"] == {"ATP5F1B": ["ATP5B", "ATP5F1B"]}
    groups = {"unchanged": 2, "by_previous": 1, "unmapped": 1, "ambiguous": 1, "merged": 1}
    none = dict.fromkeys(("by_current", "by_ensembl", "by_alias", "kept_apart"), 0)
    assert written["numbers"] == {"genes_before": 5, "genes_after": 4, **groups, **none}


@pytest.mark.parametrize(("option", "value"), [("to", "symbols"), ("gene_merge", "mean")])
def test_an_unknown_option_is_named(option, value):
    with pytest.raises(DataContractError, match=f"identifiers: {option}: .*{value!r}"):
        harmonise(MIXED, names=NAMES, **{"to": "symbol", option: value})


POOL = [
    *("ATP5F1B", "ATP5B", "ATPMB", "atp5b", "ENSG00000110955", "ENSG00000110955.2", "TP53", "p53", "ENSG00000141510"),
    *("K7", "KRT7", "SHARED", "NOID", "OLDNOID", "X", "x", "ENSG00000999999.1", "ENSG00000999999.2"),
]


@st.composite
def slides(draw):
    names = draw(st.lists(st.sampled_from(POOL), min_size=1, max_size=12))
    row = st.lists(st.integers(0, 9), min_size=len(names), max_size=len(names))
    return slide(names, draw(st.lists(row, min_size=1, max_size=3)))


@given(slides(), st.sampled_from(["published", "symbol", "ensembl"]))
def test_no_count_is_lost_and_no_name_is_left_twice(adata, to):
    result, report = harmonise(adata, names=NAMES, to=to)
    assert result.X.sum(axis=1).tolist() == adata.X.sum(axis=1).tolist()
    assert result.var_names.is_unique
    assert report.genes_before - report.genes_after == sum(len(names) - 1 for names in report.merged.values())


@given(slides(), st.sampled_from(["published", "symbol", "ensembl"]))
def test_harmonising_twice_is_harmonising_once(adata, to):
    once, _ = harmonise(adata, names=NAMES, to=to)
    twice, report = harmonise(once, names=NAMES, to=to)
    pd.testing.assert_frame_equal(twice.var, once.var)
    assert twice.X.toarray().tolist() == once.X.toarray().tolist()
    assert not report.merged


@given(slides(), st.sampled_from(["symbol", "ensembl"]), st.randoms(use_true_random=False))
def test_the_order_of_columns_decides_nothing_but_the_order(adata, to, random):
    order = list(range(adata.n_vars))
    random.shuffle(order)
    names = [adata.var_names[column] for column in order]
    results = [harmonise(part, names=NAMES, to=to)[0] for part in (adata, slide(names, adata.X.toarray()[:, order]))]
    tables = [pd.DataFrame(result.X.toarray().T, index=result.var_names).sort_index() for result in results]
    pd.testing.assert_frame_equal(*tables)
    published = [{gene: set(names.split("|")) for gene, names in result.var["published"].items()} for result in results]
    assert published[0] == published[1]


@pytest.mark.real
def test_the_columns_of_her2_c1_map_as_the_nomenclature_says(shared_data):
    """733 old symbols and 7 aliases of 15,557 names; five pairs are one gene today; three names are claimed twice."""
    with gzip.open(shared_data / "her2st/data/ST-cnts/C1.tsv.gz", "rt") as handle:
        columns = handle.readline().rstrip("\n").split("\t")[1:]
    rng = np.random.default_rng(0)
    adata = slide(columns, rng.poisson(0.1, size=(4, len(columns))))
    result, report = harmonise(adata, names=builtin("human"), to="symbol")
    assert (report.genes_before, report.genes_after) == (15_557, 15_552)
    assert (len(report.by_previous), len(report.by_alias), len(report.kept_apart)) == (733, 7, 0)
    assert set(report.ambiguous) == {"QARS", "MUM1", "STRA13"}
    assert set(report.merged) == {"MICAL2", "ARHGAP42", "MYO18A", "SEPTIN4", "S1PR3"}
    assert report.unchanged + len(report.unmapped) == 15_557 - 733 - 7 - 3
    assert result.X.sum(axis=1).tolist() == adata.X.sum(axis=1).tolist()
    merged = adata[:, ["MICAL2", "MICALCL"]].X.sum(axis=1)
    assert result[:, ["MICAL2"]].X.toarray().tolist() == merged.tolist()
