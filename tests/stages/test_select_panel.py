import subprocess
import sys
from types import MappingProxyType

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from stainscript.config import PanelRule, TargetSpace
from stainscript.errors import DataContractError
from stainscript.genes.panels.file import read_panel
from stainscript.stages.select_panel import select_panel


@pytest.fixture
def training(tmp_path):
    """Two slides of three spots; total counts a 12, b 30, c 6."""
    paths = []
    for name in ("A1", "B1"):
        adata = anndata.AnnData(
            sparse.csr_matrix(np.array([[1, 5, 0], [2, 5, 0], [3, 5, 3]], dtype=np.int32)),
            obs=pd.DataFrame(index=["0x0", "0x1", "0x2"]),
            var=pd.DataFrame({"symbol": ["A", "B", "C"]}, index=["a", "b", "c"]),
            obsm={"grid": np.array([[0, 0], [1, 0], [2, 0]])},
            uns={"dataset": "toy", "slide": name, "patient": name[0]},
        )
        paths.append(tmp_path / f"{name}.h5ad")
        adata.write_h5ad(paths[-1])
    return paths


def run(training, out, *, inputs=MappingProxyType({}), **options):
    rule = PanelRule(rule="top_total", n=2).model_dump(mode="json", exclude={"genes_file", "vocabulary"})
    target = TargetSpace(space="counts").model_dump(mode="json")
    select_panel(expression=training, name="top2", rule={**rule, **options}, target=target, out=out, **inputs)


def test_the_panel_of_the_training_slides_is_written(training, tmp_path):
    out = tmp_path / "genes/top2.log1p.tsv"
    run(training, out)
    panel = read_panel(out)
    assert panel.gene_ids == ("b", "a")
    assert panel.mean == (5.0, 2.0)
    assert panel.variance == (0.0, pytest.approx(2 / 3))
    assert panel.training_slides == ("A1", "B1")
    assert '# target: "counts"' in out.read_text()


def test_the_same_slides_give_the_same_bytes(training, tmp_path):
    for name in ("one", "two"):
        run(training, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_failed_choice_leaves_no_file(training, tmp_path):
    with pytest.raises(DataContractError, match="panel top2: n: expected 9 genes"):
        run(training, tmp_path / "p.tsv", n=9)
    assert not (tmp_path / "p.tsv").exists()


def test_a_vocabulary_narrows_the_candidates_and_is_named_in_the_file(training, tmp_path):
    """b, of the largest total, is not in it; the file calls the column as CellFM's does."""
    vocabulary = tmp_path / "gene_info.csv"
    vocabulary.write_text("HGNC_gene,name\nA,first\nC,third\n")
    run(training, tmp_path / "p.tsv", inputs={"vocabulary": vocabulary})
    assert read_panel(tmp_path / "p.tsv").gene_ids == ("a", "c")
    assert '"file":"gene_info.csv","genes":2' in (tmp_path / "p.tsv").read_text()


def test_gene_names_are_those_of_the_species_and_named_in_the_file(tmp_path):
    adata = anndata.AnnData(
        sparse.csr_matrix(np.array([[3]], dtype=np.int32)),
        obs=pd.DataFrame(index=["0x0"]),
        var=pd.DataFrame({"symbol": ["ATP5B"]}, index=["ATP5B"]),
        obsm={"grid": np.array([[0, 0]])},
        uns={"dataset": "toy", "slide": "A1", "patient": "A"},
    )
    adata.write_h5ad(tmp_path / "A1.h5ad")
    options = {"rule": "fixed", "n": 1, "genes": ["ATP5F1B"]}
    run([tmp_path / "A1.h5ad"], tmp_path / "p.tsv", inputs={"species": "human"}, **options)
    assert read_panel(tmp_path / "p.tsv").gene_ids == ("ATP5B",)
    assert '# gene_names: {"release":' in (tmp_path / "p.tsv").read_text()
    with pytest.raises(DataContractError, match="'ATP5F1B'"):
        run([tmp_path / "A1.h5ad"], tmp_path / "q.tsv", **options)


@pytest.mark.parametrize("stage", ["select_panel", "score"])
def test_torch_is_not_imported(stage):
    code = f"import sys, stainscript.stages.{stage}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
