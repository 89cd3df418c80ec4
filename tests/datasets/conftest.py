"""Small raw slides in the real layouts."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy import io, sparse

BARCODES = ["AAAC-1", "CCCG-1", "GGGT-1", "TTTA-1"]
GENES = [("ENSG00000141736.14", "ERBB2"), ("ENSG00000211592", "IGKC"), ("ENSG00000026025", "VIM")]
COUNTS = np.array([[5, 0, 1], [0, 2, 0], [0, 0, 0], [7, 0, 3]])  # (barcode, gene); the third spot has none


@pytest.fixture
def write_legacy(tmp_path):
    """Write one legacy ST slide ``S1``: 3 counted spots, one orphan; returns the folder that holds ``data/``."""

    def write(folder: Path = tmp_path, *, counts: str | None = None, selection: str | None = None, slide: str = "S1"):
        counts = counts if counts is not None else "\tERBB2\tAP000769.1\n3x2\t4\t0\n2x2\t0\t0\n2x3\t1\t9\n"
        selection = (
            selection
            if selection is not None
            else (
                "x\ty\tnew_x\tnew_y\tpixel_x\tpixel_y\tselected\n"
                "3\t2\t3.02\t1.98\t802\t396\t1\n"
                "2\t3\t2.0\t3.0\t400\t800\t1\n"
                "2\t2\t1.98\t2.02\t392\t404\t1\n"
                "4\t4\t4.0\t4.0\t1200\t1200\t1\n"
            )
        )
        data = folder / "data"
        for name in ("ST-cnts", "ST-spotfiles", f"ST-imgs/{slide[0]}/{slide}"):
            (data / name).mkdir(parents=True, exist_ok=True)
        with gzip.open(data / "ST-cnts" / f"{slide}.tsv.gz", "wt") as handle:
            handle.write(counts)
        (data / "ST-spotfiles" / f"{slide}_selection.tsv").write_text(selection)
        Image.new("RGB", (1500, 1400), (200, 150, 180)).save(data / "ST-imgs" / slide[0] / slide / "HE_x.jpg")
        return folder

    return write


@pytest.fixture
def write_visium(tmp_path):
    """Write one Space Ranger slide ``V1`` under ``tmp_path``; the matrix as h5 (layout 3 or 2) or MTX."""

    def write(
        *,
        version: int = 2,
        matrix: str = "h5",
        outs: bool = True,
        counts=COUNTS,
        barcodes=BARCODES,
        genes=GENES,
        kinds=None,
        positions: str | None = None,
        image: bool = True,
    ) -> Path:
        folder = tmp_path / "V1" / "outs" if outs else tmp_path / "V1"
        (folder / "spatial").mkdir(parents=True, exist_ok=True)
        header = "barcode,in_tissue,array_row,array_col,pxl_row_in_fullres,pxl_col_in_fullres\n"
        text = positions if positions is not None else header + _positions()
        name = "tissue_positions.csv" if version >= 2 else "tissue_positions_list.csv"
        (folder / "spatial" / name).write_text(text if version >= 2 else text.removeprefix(header))
        (folder / "spatial" / "scalefactors_json.json").write_text(json.dumps({"spot_diameter_fullres": 110.0}))
        if image:
            Image.new("RGB", (1500, 1400), (200, 150, 180)).save(folder / "he.png")
        by_gene = sparse.csc_matrix(np.asarray(counts).T)
        kinds = kinds or ["Gene Expression"] * len(genes)
        if matrix == "h5":
            _write_h5(folder / "filtered_feature_bc_matrix.h5", by_gene, barcodes, genes, kinds)
        elif matrix == "h5v2":
            _write_h5v2(folder / "filtered_feature_bc_matrix.h5", by_gene, barcodes, genes)
        else:
            _write_mtx(
                folder / "filtered_feature_bc_matrix", by_gene, barcodes, genes, kinds, zipped=matrix == "mtx.gz"
            )
        return tmp_path

    return write


def _positions() -> str:
    """Four spots in tissue and two outside, at 0.5 µm per pixel: 200 px between neighbours in a row."""
    lines = []
    cells = [("TTTA-1", 1, 1, 3), ("AAAC-1", 1, 0, 0), ("OFF1-1", 0, 0, 4), ("CCCG-1", 1, 0, 2), ("GGGT-1", 1, 1, 1)]
    for barcode, inside, row, column in [*cells, ("OFF2-1", 0, 2, 0)]:
        y, x = 300 + row * 100 * math.sqrt(3), 100 + column * 100
        lines.append(f"{barcode},{inside},{row},{column},{y:.3f},{x}\n")
    return "".join(lines)


def _bytes(names) -> np.ndarray:
    return np.array([str(name).encode() for name in names])


def _write_h5(path, by_gene, barcodes, genes, kinds) -> None:
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        features = group.create_group("features")
        features["id"], features["name"] = _bytes(g for g, _ in genes), _bytes(s for _, s in genes)
        features["feature_type"] = _bytes(kinds)
        _write_csc(group, by_gene, barcodes)


def _write_h5v2(path, by_gene, barcodes, genes) -> None:
    with h5py.File(path, "w") as file:
        group = file.create_group("GRCh38")
        group["genes"], group["gene_names"] = _bytes(g for g, _ in genes), _bytes(s for _, s in genes)
        _write_csc(group, by_gene, barcodes)


def _write_csc(group, by_gene, barcodes) -> None:
    group["barcodes"], group["shape"] = _bytes(barcodes), np.array(by_gene.shape)
    group["data"], group["indices"], group["indptr"] = by_gene.data, by_gene.indices, by_gene.indptr


def _write_mtx(folder, by_gene, barcodes, genes, kinds, *, zipped: bool) -> None:
    folder.mkdir()
    io.mmwrite(folder / "matrix.mtx", by_gene)
    rows = ["\t".join([*gene, kind][-3:]) for gene, kind in zip(genes, kinds, strict=True)]
    (folder / "features.tsv").write_text("\n".join(rows) + "\n")
    (folder / "barcodes.tsv").write_text("\n".join(barcodes) + "\n")
    if zipped:
        for path in list(folder.iterdir()):
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
