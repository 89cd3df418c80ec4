import subprocess
import sys

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from stainscript.errors import DataContractError
from stainscript.genes.groups.records import list_sha256, read_groups
from stainscript.genes.panels.file import read_panel, write_panel
from stainscript.stages.group_genes import group_genes
from stainscript.types import Panel

GENES = ("ACTB", "ATP5B", "COL1A1", "COL1A2", "GAPDH", "KRT7")
RULE = {
    "order": "two_stage",
    "seed": 42,
    "major": 4,
    "target_size": 12,
    "n_init": 10,
    "zscore_axis": "gene",
    "clusters": 3,
    "min_size": 1,
    "max_size": 4,
    "weight": 1.0,
    "printed": None,
    "scales": [1, 3, 6],
}


def write_slide(folder, name, counts):
    adata = anndata.AnnData(
        sparse.csr_matrix(np.asarray(counts, dtype=np.int32)),
        obs=pd.DataFrame(index=[f"{n}x0" for n in range(len(counts))]),
        var=pd.DataFrame({"symbol": GENES[::-1]}, index=GENES[::-1]),  # another order than the panel's
        uns={"dataset": "toy", "slide": name, "patient": name[0]},
    )
    adata.write_h5ad(folder / f"{name}.h5ad")
    return folder / f"{name}.h5ad"


@pytest.fixture
def inputs(tmp_path):
    """A panel of six genes chosen on slides A1 and B1, and these slides: 30 spots each."""
    one = (1.0,) * len(GENES)
    panel = Panel(name="p", gene_ids=GENES, symbols=GENES, mean=one, variance=one, training_slides=("A1", "B1"))
    write_panel(tmp_path / "p.tsv", panel)
    rng = np.random.default_rng(0)
    expression = [write_slide(tmp_path, name, rng.poisson(5, size=(30, 6))) for name in ("A1", "B1")]
    return {"panel": tmp_path / "p.tsv", "expression": expression, "gene_sets": None}


def run(inputs, out, *, rule=None, **changed):
    group_genes(**{**inputs, "rule": RULE | (rule or {}), "out": out, **changed})
    return read_groups(out, panel=read_panel(inputs["panel"]))


def test_the_groups_of_the_training_slides_are_written(inputs, tmp_path):
    found = run(inputs, tmp_path / "genes/p.groups.json")
    assert sorted(found.order) == sorted(GENES)
    assert (found.dataset, found.panel, found.training_slides, found.total_spots) == ("toy", "p", ("A1", "B1"), 60)
    assert found.scale_dims == (1, 3, 6)
    assert found.source_gene_list_sha256 == list_sha256(GENES)


def test_the_same_inputs_give_the_same_bytes(inputs, tmp_path):
    for name in ("one.json", "two.json"):
        run(inputs, tmp_path / name)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_the_counts_of_a_slide_outside_the_fold_change_nothing(inputs, tmp_path):
    """Leak: slide C1 lies in the same folder; it is never opened, whatever it holds."""
    write_slide(tmp_path, "C1", np.full((5, 6), 3))
    run(inputs, tmp_path / "one.json")
    (tmp_path / "C1.h5ad").write_bytes(b"not even a file of counts")
    run(inputs, tmp_path / "two.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_the_counts_of_a_training_slide_do_change_the_order(inputs, tmp_path):
    before = run(inputs, tmp_path / "one.json")
    write_slide(tmp_path, "B1", np.random.default_rng(7).poisson(5, size=(30, 6)) * np.arange(1, 7))
    assert run(inputs, tmp_path / "two.json").order != before.order


def test_a_test_slide_is_refused(inputs, tmp_path):
    strange = write_slide(tmp_path, "C1", np.ones((3, 6)))
    with pytest.raises(DataContractError, match="slides that chose the panel: A1, B1; found C1"):
        run(inputs, tmp_path / "g.json", expression=[*inputs["expression"], strange])
    assert not (tmp_path / "g.json").exists()


def test_pathways_come_from_a_gmt_and_know_old_symbols(inputs, tmp_path):
    """ATP5B of the panel is ATP5F1B of the set, so it stands beside KRT7; the collagens stand together."""
    sets = tmp_path / "sets.gmt"
    sets.write_text("ENERGY\t\tATP5F1B\tKRT7\nMATRIX\t\tCOL1A1\tCOL1A2\nHOUSE\t\tACTB\tGAPDH\n")
    found = run(inputs, tmp_path / "g.json", rule={"order": "pathway"}, gene_sets=sets, species="human")
    assert sorted(map(sorted, found.groups)) == [["ACTB", "GAPDH"], ["ATP5B", "KRT7"], ["COL1A1", "COL1A2"]]


def test_gene_sets_that_the_order_would_not_read_are_refused(inputs, tmp_path):
    with pytest.raises(DataContractError, match="gene_sets: expected none for order two_stage"):
        run(inputs, tmp_path / "g.json", gene_sets=tmp_path / "sets.gmt")


def test_scales_that_do_not_fit_the_panel_are_refused(inputs, tmp_path):
    with pytest.raises(
        DataContractError, match="scales: expected 6, the size of the panel, as the last; found 1, 4, 8"
    ):
        run(inputs, tmp_path / "g.json", rule={"scales": "paper"})


def test_torch_is_not_imported():
    code = "import sys, stainscript.stages.group_genes; sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
