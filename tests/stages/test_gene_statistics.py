import json
import socket
import subprocess
import sys

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from stainscript.errors import DataContractError
from stainscript.stages.gene_statistics import gene_statistics

COLUMNS = [
    "gene_id",
    "symbol",
    "n_slides",
    "n_spots",
    "n_detected",
    "total",
    "mean",
    "variance",
    "nonzero_mean",
    "mean_log1p_cp10k",
    "variance_log1p_cp10k",
    "seurat_rank",
    "seurat_v3_rank",
]
HVG = {"n": 10, "flavours": ["seurat", "seurat_v3"], "space": "counts", "batches": "pooled"}


def write(path, name, counts):
    genes = [f"ENSG{number:02d}" for number in range(counts.shape[1])]
    anndata.AnnData(
        counts,
        obs=pd.DataFrame(index=[f"spot{number}" for number in range(counts.shape[0])]),
        var=pd.DataFrame({"symbol": [f"G{number}" for number in range(len(genes))]}, index=genes),
        uns={"dataset": "toy", "slide": name, "patient": name},
    ).write_h5ad(path)
    return path


@pytest.fixture
def training(tmp_path):
    rng = np.random.default_rng(1)
    mean = np.exp(rng.normal(1, 1, size=40))
    return [
        write(tmp_path / f"{name}.h5ad", name, sparse.csr_matrix(rng.poisson(mean, size=(20, 40)).astype(np.int32)))
        for name in ("A1", "B1")
    ]


def run(training, folder, **options):
    given = {"scheduler": None, "block_spots": 8, "hvg": HVG, **options}
    gene_statistics(expression=training, out=folder / "genes.parquet", qc=folder / "qc.json", **given)


def test_one_row_a_gene_and_one_object_a_slide_are_written(training, tmp_path):
    run(training, tmp_path / "out")
    found = pd.read_parquet(tmp_path / "out/genes.parquet")
    assert found.columns.tolist() == COLUMNS
    counts = np.vstack([anndata.read_h5ad(path).X.toarray() for path in training])
    assert found["gene_id"].tolist() == [f"ENSG{number:02d}" for number in range(40)]
    assert found["total"].tolist() == counts.sum(axis=0).tolist()
    np.testing.assert_allclose(found["variance"], counts.var(axis=0), rtol=1e-14)
    for flavour in ("seurat", "seurat_v3"):
        assert sorted(found[f"{flavour}_rank"]) == [-1] * 30 + list(range(10))
    quality = json.loads((tmp_path / "out/qc.json").read_text())["slides"]
    assert [(part["slide"], part["spots"], part["genes_measured"]) for part in quality] == [
        ("A1", 20, 40),
        ("B1", 20, 40),
    ]
    assert quality[0]["counts"] == int(counts[:20].sum())
    assert quality[0]["mitochondrial_share"] is None


def test_the_same_slides_give_the_same_bytes(training, tmp_path):
    run(training, tmp_path / "one")
    run(training, tmp_path / "two", block_spots=3, scheduler="synchronous")
    for name in ("genes.parquet", "qc.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_another_slide_than_those_given_changes_nothing(training, tmp_path):
    """The leak test of this step: the counts of a slide that is not given are not read."""
    run(training[:1], tmp_path / "one")
    training[1].unlink()
    run(training[:1], tmp_path / "two")
    assert (tmp_path / "one/genes.parquet").read_bytes() == (tmp_path / "two/genes.parquet").read_bytes()


def fault(training, folder, **options):
    with pytest.raises(DataContractError) as caught:
        run(training, folder / "out", **options)
    assert not (folder / "out/genes.parquet").exists()
    assert not (folder / "out/qc.json").exists()
    return str(caught.value)


def test_a_file_that_is_not_there_is_named(training, tmp_path):
    assert f"{tmp_path / 'C1.h5ad'}: expression: expected an .h5ad file; found no such file" in fault(
        [*training, tmp_path / "C1.h5ad"], tmp_path
    )


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        (np.ones((4, 40), dtype=np.int32), "X: expected csr_matrix, which is read by rows; found array"),
        (sparse.csr_matrix(np.full((4, 40), 0.5)), "X: expected integer counts; found values of type float64"),
        (sparse.csr_matrix(np.full((4, 40), -1)), "X: expected counts from 0 to 2147483647; found -1 … -1"),
    ],
)
def test_what_is_no_count_is_named_with_its_file(training, tmp_path, counts, found):
    path = write(tmp_path / "bad.h5ad", "bad", counts)
    assert f"{path}: {found}" in fault([*training, path], tmp_path)


def test_a_slide_given_twice_is_named(training, tmp_path):
    assert "A1.h5ad: slide: expected each slide once; found A1 again" in fault([*training, training[0]], tmp_path)


def test_a_misspelt_flavour_is_named(training, tmp_path):
    message = fault(training, tmp_path, hvg={**HVG, "flavours": ["seurat-v3"]})
    assert "config.yaml: statistics.flavours: expected one of seurat, seurat_v3; found 'seurat-v3'" in message


def test_a_dask_scheduler_that_does_not_answer_is_one_error(training, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    assert (
        f"config.yaml: hardware.dask: expected the address of a running dask scheduler with workers, e.g. "
        f"tcp://node17:8786; found '{address}', nobody answers there" in fault(training, tmp_path, scheduler=address)
    )


def test_too_few_genes_for_seurat_v3_are_one_error(tmp_path):
    path = write(tmp_path / "few.h5ad", "few", sparse.csr_matrix(np.arange(1, 13, dtype=np.int32).reshape(4, 3)))
    assert "slide few: seurat_v3: expected genes of enough different means" in fault([path], tmp_path)


def test_torch_is_not_imported():
    code = "import sys, stainscript.stages.gene_statistics; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
