"""The universe that pathways are cut to: named, counted, and refused where its source is not given."""

import json

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from stainscript.errors import DataContractError
from stainscript.genes.pathways.universe import universe_of
from stainscript.types import Panel

PANEL = Panel(
    name="two", gene_ids=("E2", "E1"), symbols=("B", "A"), mean=(1.0,) * 2, variance=(1.0,) * 2, training_slides=("s",)
)


@pytest.fixture
def slides(tmp_path):
    """Slide s measures A, B, C; slide t measures C, A, D. No count is above 0: measured is what is listed."""
    paths = []
    for slide, symbols in (("s", "ABC"), ("t", "CAD")):
        adata = anndata.AnnData(
            sparse.csr_matrix(np.zeros((2, 3), dtype=np.int32)),
            var=pd.DataFrame({"symbol": list(symbols)}, index=[f"E{symbol}" for symbol in symbols]),
            uns={"slide": slide},
        )
        adata.obs_names = ["1", "2"]
        paths.append(tmp_path / f"{slide}.h5ad")
        adata.write_h5ad(paths[-1])
    return paths


def test_measured_is_what_every_slide_lists_or_any(slides):
    every = universe_of("measured", slides)
    assert (every.symbols, every.description) == (("A", "C"), "genes that every one of 2 slides measures")
    assert universe_of("measured", slides, measured_in="any").symbols == ("A", "B", "C", "D")
    assert universe_of("measured", slides[::-1]).sha256 == every.sha256


def test_the_panels_symbols_are_a_universe():
    assert universe_of("panel", None, panel=PANEL).symbols == ("B", "A")


def test_no_universe_restricts_nothing():
    none = universe_of("none", None)
    assert (none.symbols, none.sha256) == (None, None)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("u.txt", "B\nA # comment\n"),
        ("u.json", '["B", "A", "B"]'),
        ("u.json", '{"genes": ["B", "A"]}'),
        ("u.json", '{"one": ["B"], "two": ["A", "B"]}'),
        ("u.gmt", "one\t\tB\ntwo\t\tA\tB\n"),
    ],
)
def test_a_file_lists_genes_or_sets(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    universe = universe_of("file", tmp_path / name)
    assert universe.symbols == ("B", "A")
    assert universe.description == f"the genes of {name}"
    assert universe.sha256 == universe_of("released", tmp_path / name).sha256


@pytest.mark.parametrize(
    ("kind", "sources", "message"),
    [
        ("panel", None, "expected a panel; found none"),
        ("file", None, "expected one file of genes; found 0 files"),
        ("released", ["a", "b"], "expected one file of genes; found 2 files"),
        ("measured", [], "expected the counts of one slide or more; found 0 files"),
        ("relased", None, "did you mean 'released'"),
    ],
)
def test_a_universe_without_its_source_is_refused(kind, sources, message):
    with pytest.raises(DataContractError, match=message):
        universe_of(kind, sources)


@pytest.mark.parametrize(("content", "found"), [('["A", 3]', "3"), ("[]", r"\[\]"), ("A\nB", "Expecting value")])
def test_a_list_of_another_form_is_refused(tmp_path, content, found):
    (tmp_path / "u.json").write_text(content)
    with pytest.raises(DataContractError, match=found):
        universe_of("file", tmp_path / "u.json")


def test_slides_without_a_common_gene_are_refused(slides):
    adata = anndata.read_h5ad(slides[1])
    adata.var["symbol"] = ["X", "Y", "Z"]
    adata.write_h5ad(slides[1])
    with pytest.raises(DataContractError, match="expected a gene that every slide measures; found none"):
        universe_of("measured", slides)


def test_the_observed_universe_of_the_release_has_2437_genes(shared_golden):
    path = shared_golden / "histoprism/curation/observed_universe_2437.json"
    assert len(universe_of("released", path).symbols) == len(json.loads(path.read_text())) == 2437
