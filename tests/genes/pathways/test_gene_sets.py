"""Gene sets are read as the file has them, and a file that is none says so once, with its place and what to do."""

import gzip
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stainscript.errors import DataContractError
from stainscript.genes.pathways.gene_sets import read_gene_sets, read_gmt, write_gmt


def written(tmp_path, text, name="sets.gmt"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_sets_and_genes_keep_the_order_of_the_file(tmp_path):
    path = written(tmp_path, "\ufeffZ\thttp://z\tB\tA\r\n\r\nY\tna\tC\r\n")
    assert read_gmt(path) == {"Z": ("B", "A"), "Y": ("C",)}
    assert list(read_gmt(path)) == ["Z", "Y"]


def test_enrichrs_empty_description_and_weights_are_understood(tmp_path):
    path = written(tmp_path, "'de novo' folding (GO:0051084)\t\tHSPA9,1.0\tCCT2,0.5\tHLA,B\t\t\n")
    assert read_gmt(path) == {"'de novo' folding (GO:0051084)": ("HSPA9", "CCT2", "HLA,B")}


def test_a_gzipped_file_is_unpacked_whatever_its_name(tmp_path):
    for name in ("sets.gmt.gz", "sets.gmt"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(b"A\t\tx\ty\n"))
        assert read_gmt(path) == {"A": ("x", "y")}


def test_json_maps_names_to_genes(tmp_path):
    assert read_gmt(written(tmp_path, '{"B": ["y", "x"], "A": ["z"]}', "sets.json")) == {"B": ("y", "x"), "A": ("z",)}
    (tmp_path / "s.json.gz").write_bytes(gzip.compress(b'{"A": ["z"]}'))
    assert read_gmt(tmp_path / "s.json.gz") == {"A": ("z",)}


def test_a_gene_listed_twice_is_kept_once_and_logged(tmp_path, caplog):
    path = written(tmp_path, "A\t\tx\ty\tx\nB\t\tx\n")
    with caplog.at_level(logging.INFO, logger="stainscript.genes.pathways.gene_sets"):
        assert read_gmt(path) == {"A": ("x", "y"), "B": ("x",)}
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: 1 sets list a gene more than once, kept once (first: A)"
    ]


@pytest.mark.parametrize(
    ("name", "text", "field", "found"),
    [
        ("s.gmt", "A\t\tx\nB\t\ty\nA\t\tx\n", "set names", "A in line 1 and line 3, with the same genes"),
        ("s.gmt", "A\t\tx\nA\t\tx\ty\n", "set names", "A in line 1 and line 2, with other genes"),
        ("s.gmt", "A\t\tx\nB\tno genes\n", "line 2", "B without genes"),
        ("s.gmt", "A\t\tx\nB\tno genes\t\t\n", "line 2", "B without genes"),
        ("s.gmt", "A\t\tx\nB x y\n", "line 2", "no tab in 'B x y'"),
        ("s.gmt", "\t\tx\n", "line 1", "an empty cell"),
        ("s.gmt", "\n\n", "sets", "none"),
        ("s.gmt", "", "sets", "none"),
        ("s.gmt", "\n <!DOCTYPE html><p>Log in", "file", "a web page"),
        ("s.gmt", "A\t\tx\0y\n", "file", "other bytes"),
        ("s.json", '{"A": ["x"], "A": ["x"]}', "set names", "A in set 1 and set 2, with the same genes"),
        ("s.json", '{"A": []}', "set 1", "A without genes"),
        ("s.json", '{"A": "x"}', "set 1", "A: x"),
        ("s.json", '{"A": ["x", 3]}', "set 1", "A: "),
        ("s.json", '["A"]', "file", "list"),
        ("s.json", '{"A": ["x"]', "file", "line 1"),
        ("s.json", "{}", "sets", "none"),
        ("s.json", '{" ": ["x"]}', "set 1", "an empty one"),
    ],
)
def test_a_file_of_another_form_is_refused_once_with_its_place(tmp_path, name, text, field, found):
    path = written(tmp_path, text, name)
    with pytest.raises(DataContractError) as caught:
        read_gmt(path)
    assert (caught.value.path, caught.value.field) == (str(path), field)
    assert found in caught.value.found
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"PK\x03\x04\xff\xfe", "other bytes"),
        (gzip.compress(b"A\t\tx\n" * 50)[:-12], "a damaged one"),
        (gzip.compress(b"\xff\xfe\xff"), "other bytes"),
    ],
)
def test_a_file_that_is_no_text_is_refused(tmp_path, content, found):
    path = tmp_path / "s.gmt"
    path.write_bytes(content)
    with pytest.raises(DataContractError, match=found):
        read_gmt(path)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(DataContractError, match=r"nowhere\.gmt: file: .* found no such file"):
        read_gmt(tmp_path / "nowhere.gmt")


def test_several_files_are_joined_and_share_no_name(tmp_path):
    one, two = written(tmp_path, "A\t\tx\n", "1.gmt"), written(tmp_path, "B\t\ty\n", "2.gmt")
    assert read_gene_sets([two, one]) == {"B": ("y",), "A": ("x",)}
    assert read_gene_sets(one) == {"A": ("x",)}
    with pytest.raises(DataContractError, match=r"3\.gmt: set names: .* found A, also in .*1\.gmt"):
        read_gene_sets([one, written(tmp_path, "A\t\tz\n", "3.gmt")])


words = st.text(st.characters(min_codepoint=33, max_codepoint=0x17F, exclude_categories=("C", "Z")), min_size=1)


@given(st.dictionaries(words, st.lists(words, min_size=1, unique=True), min_size=1, max_size=5))
def test_what_is_written_is_read_back(tmp_path_factory, sets):
    path = tmp_path_factory.mktemp("gmt") / "s.gmt"
    sets = {name.lstrip("<") or "A": [gene.replace(",", ";") for gene in genes] for name, genes in sets.items()}
    sets = {name: tuple(dict.fromkeys(genes)) for name, genes in sets.items()}
    write_gmt(path, sets, descriptions=dict.fromkeys(sets, "http://page"))
    assert read_gmt(path) == sets


@pytest.mark.parametrize("sets", [{"A\tB": ["x"]}, {"A": ["x\n"]}, {"A": []}, {"": ["x"]}])
def test_sets_that_no_gmt_can_hold_are_not_written(tmp_path, sets):
    with pytest.raises(DataContractError, match="a name, and genes without tabs or line breaks"):
        write_gmt(tmp_path / "s.gmt", sets)
    assert not (tmp_path / "s.gmt").exists()


def test_the_published_files_are_read_whole(shared_data, shared_golden):
    hallmark = read_gmt(shared_data / "genesets" / "h.all.v2025.1.Hs.symbols.gmt")
    published = json.loads((shared_golden / "histoprism/curation/hallmark_gmt_v2025_1.json").read_text())
    assert hallmark == {name: tuple(genes) for name, genes in published.items()}
    assert len({gene for genes in hallmark.values() for gene in genes}) == 4384
    go = read_gmt(shared_data / "genesets" / "enrichr.GO_Biological_Process_2021.gmt")
    assert len(go) == 6036
    assert go["2-oxoglutarate metabolic process (GO:0006103)"][:2] == ("IDH1", "PHYH")
