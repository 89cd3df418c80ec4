"""Raw files of the phantom, as the instruments' own software leaves them: Space Ranger, legacy ST, a bare slide."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import tifffile
from PIL import Image

TILE_PX = 256
LEVELS = (1, 4, 16)  # downsampling of the pyramid
THEORETICAL_SPOT_UM, FIDUCIAL_UM = 65.0, 105.0  # what Space Ranger's scale factors mean by spot and fiducial
BARCODE_LETTERS = np.array(list("ACGT"))
POSITION_COLUMNS = ("barcode", "in_tissue", "array_row", "array_col", "pxl_row_in_fullres", "pxl_col_in_fullres")


def write_pyramid(path: Path, image: np.ndarray, *, mpp: float) -> None:
    """A tiled, JPEG-compressed pyramidal TIFF with µm per pixel in its resolution tags; image (rows, columns, 3)."""
    picture = Image.fromarray(image)
    per_cm = 1e4 / mpp
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path) as writer:
        for level, factor in enumerate(LEVELS):
            writer.write(
                image if factor == 1 else np.asarray(picture.reduce(factor)),
                photometric="rgb",
                tile=(TILE_PX, TILE_PX),
                compression="jpeg",
                compressionargs={"level": 87},
                resolution=(per_cm / factor, per_cm / factor),
                resolutionunit="CENTIMETER",
                subfiletype=1 if level else 0,
                metadata=None,
                software="",
            )


def write_jpeg(path: Path, image: np.ndarray) -> None:
    """A JPEG that says nothing about its scale, as legacy ST images are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, quality=90)


def visium_barcodes(n: int) -> np.ndarray:
    """(n,) distinct barcodes of 16 letters. Like a real capture area, every slide has the same ones: they repeat."""
    step = 2_654_435_761  # odd, hence a bijection modulo 4^16: no two barcodes are equal
    codes = (np.arange(1, n + 1, dtype=np.uint64) * np.uint64(step)) % np.uint64(4**16)
    letters = BARCODE_LETTERS[((codes[:, None] >> (2 * np.arange(16, dtype=np.uint64))) & np.uint64(3)).astype(int)]
    return np.array(["".join(row) + "-1" for row in letters])


def write_space_ranger(
    outs: Path,
    *,
    image: np.ndarray,
    mpp: float,
    slide: str,
    release: int,
    barcodes: np.ndarray,
    in_tissue: np.ndarray,
    grid: np.ndarray,
    xy_px: np.ndarray,
    counts: np.ndarray,
    symbols: tuple[str, ...],
) -> None:
    """One ``outs`` folder with the full-resolution image beside it.

    barcodes, in_tissue, grid (row, column), xy_px: all P capture places; counts: (S, G) of the S places in tissue, in
    the same order. release: 1 writes ``tissue_positions_list.csv`` without a header, 2 the file with one.
    """
    write_pyramid(outs / f"{slide}.tif", image, mpp=mpp)
    spatial = outs / "spatial"
    spatial.mkdir(parents=True, exist_ok=True)
    pixels = np.round(xy_px[:, ::-1]).astype(int)  # row, column
    rows = np.column_stack([barcodes, in_tissue.astype(int), grid, pixels]).tolist()
    name = "tissue_positions_list.csv" if release == 1 else "tissue_positions.csv"
    _write_rows(spatial / name, rows if release == 1 else [POSITION_COLUMNS, *rows], delimiter=",")
    scales = {}
    for key, long_side_px in (("hires", 600), ("lowres", 200)):
        scale = long_side_px / max(image.shape)
        size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
        Image.fromarray(image).reduce(4).resize(size).save(spatial / f"tissue_{key}_image.png")
        scales[f"tissue_{key}_scalef"] = scale
    scales |= {"spot_diameter_fullres": THEORETICAL_SPOT_UM / mpp, "fiducial_diameter_fullres": FIDUCIAL_UM / mpp}
    (spatial / "scalefactors_json.json").write_text(json.dumps(scales))
    _write_10x_h5(
        outs / "filtered_feature_bc_matrix.h5",
        barcodes=barcodes[in_tissue],
        counts=counts,
        symbols=symbols,
        slide=slide,
        software=f"spaceranger-{release}.1.0",
    )


def _write_10x_h5(
    path: Path, *, barcodes: np.ndarray, counts: np.ndarray, symbols: tuple[str, ...], slide: str, software: str
) -> None:
    """Feature-barcode matrix, version 3 layout: one column a barcode, compressed by column, barcodes sorted.

    The phantom has no reference annotation, so a feature's ``id`` is its symbol: one gene space for both layouts.
    """
    order = np.argsort(barcodes)
    counts = counts[order]
    spots, indices = np.nonzero(counts)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(spots, minlength=len(counts)))])
    with h5py.File(path, "w") as file:
        file.attrs.update({"filetype": "matrix", "version": 2, "software_version": software})
        file.attrs.update({"library_ids": np.array([slide], dtype=bytes), "chemistry_description": "Visium Spatial v1"})
        file.attrs["original_gem_groups"] = np.array([1], dtype=np.int32)
        matrix = file.create_group("matrix")
        for key, values in {
            "barcodes": barcodes[order].astype(bytes),
            "data": counts[spots, indices].astype(np.int32),
            "indices": indices.astype(np.int64),
            "indptr": indptr.astype(np.int64),
            "shape": np.array([len(symbols), len(barcodes)], dtype=np.int32),
        }.items():
            matrix.create_dataset(key, data=values, compression="gzip")
        features = matrix.create_group("features")
        features.create_dataset("_all_tag_keys", data=np.array(["genome"], dtype=bytes))
        for key, texts in {
            "id": symbols,
            "name": symbols,
            "feature_type": ["Gene Expression"] * len(symbols),
            "genome": ["phantom"] * len(symbols),
        }.items():
            features.create_dataset(key, data=np.array(texts, dtype=bytes), compression="gzip")


def write_legacy_st(
    data: Path,
    *,
    image: np.ndarray,
    slide: str,
    grid: np.ndarray,
    registered: np.ndarray,
    xy_px: np.ndarray,
    has_counts: np.ndarray,
    counts: np.ndarray,
    symbols: tuple[str, ...],
    order: np.ndarray,
) -> None:
    """One section of the legacy ST layout: counts, selection and a JPEG, spots in different order in the two tables.

    grid (row, column), registered (x, y), xy_px, has_counts: all P selected places; counts: (S, G) of those that
    have counts; order: (S,) in which the count table lists them.
    """
    write_jpeg(data / "ST-imgs" / slide[0] / slide / f"{slide}.jpg", image)
    for folder in ("ST-spotfiles", "ST-cnts"):
        (data / folder).mkdir(parents=True, exist_ok=True)
    rows = [
        (x, y, f"{new_x:.3f}", f"{new_y:.3f}", f"{pixel_x:.2f}", f"{pixel_y:.2f}", 1)
        for (y, x), (new_x, new_y), (pixel_x, pixel_y) in zip(grid, registered, xy_px, strict=True)
    ]
    header = ("x", "y", "new_x", "new_y", "pixel_x", "pixel_y", "selected")
    _write_rows(data / "ST-spotfiles" / f"{slide}_selection.tsv", [header, *rows], delimiter="\t")
    labels = legacy_spot_ids(grid[has_counts])
    lines = ["\t".join(["", *symbols])] + ["\t".join([labels[i], *map(str, counts[i].tolist())]) for i in order]
    path = data / "ST-cnts" / f"{slide}.tsv.gz"
    with path.open("wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed:
        packed.write(("\n".join(lines) + "\n").encode())


def legacy_spot_ids(grid: np.ndarray) -> np.ndarray:
    """``XxY`` of each spot; grid: (S, 2) row, column."""
    return np.array([f"{x}x{y}" for y, x in grid.tolist()])


def write_truth(
    path: Path,
    *,
    expected: np.ndarray,
    spot_ids: np.ndarray,
    symbols: tuple[str, ...],
    programme: tuple[str, ...],
    kind: np.ndarray,
) -> None:
    """Expected counts (S, G) float32 with ids as the readers give them, and each gene's programme and kind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    var = pd.DataFrame({"symbol": symbols, "programme": programme, "kind": kind}, index=pd.Index(symbols, dtype=str))
    obs = pd.DataFrame(index=pd.Index(spot_ids, dtype=str))
    anndata.AnnData(X=expected.astype(np.float32), obs=obs, var=var).write_h5ad(path)


def _write_rows(path: Path, rows: list, *, delimiter: str) -> None:
    with path.open("w", newline="") as handle:
        csv.writer(handle, delimiter=delimiter, lineterminator="\n").writerows(rows)
