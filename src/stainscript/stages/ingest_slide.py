"""One raw slide → its record, spots, thumbnail and counts, all checked before any later job."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
from PIL import Image
from scipy import sparse

from stainscript.artifacts.files import complete_file, file_sha256, write_json, write_parquet
from stainscript.artifacts.schemas import EXPRESSION_OBSM, EXPRESSION_UNS, SPOT_COLUMNS
from stainscript.datasets import base
from stainscript.datasets.hest_files import PatchFile
from stainscript.datasets.scale import settle_mpp
from stainscript.errors import DataContractError
from stainscript.genes.identifiers.names import builtin, read_gene_names
from stainscript.genes.identifiers.nomenclature import Merge, Nomenclature, harmonise
from stainscript.genes.identifiers.tables import Species
from stainscript.patches.prepared import READER, extent_px, mosaic
from stainscript.slides.open import open_slide
from stainscript.types import SlideInfo

logger = logging.getLogger(__name__)

THUMBNAIL_PX = 1024
THUMBNAIL_QUALITY = 85
AS_PUBLISHED = "as published"


def ingest_slide(
    *,
    dataset: str,
    row: Mapping[str, str],
    files: Mapping[str, str | Path],
    options: Mapping[str, Any],
    info: str | Path,
    spots: str | Path,
    thumbnail: str | Path,
    expression: str | Path | None,
    genes: str | Path | None = None,
    naming: Naming | None = None,
) -> None:
    """Read one raw slide with its layout's reader and write what later stages use.

    row: the sheet's row; files: role → raw file; options: of the layout; info, spots, thumbnail, expression, genes:
    files to write (the last two ``None`` for a slide without counts); naming: how genes are to be named, by default as
    the files name them. ``genes`` is the report of what the table makes of the slide's names, applied or not. Raises
    ``DataContractError`` on any fault of the raw files, and then writes nothing.
    """
    raw = base.load(row["layout"]).read(row, files, options)
    if (raw.adata is None) != (expression is None):
        raise DataContractError(
            info,
            "expression",
            expected="an output for the counts" if raw.adata is not None else "no output for counts",
            found=expression,
            remedy="the sheet's columns layout and has_expression decide; run again from the sheet",
        )
    role = "patches" if "patches" in files and "image" not in files else "image"
    image = base.require(files, [role], slide=row["slide"])[role]
    seen = _seen_in_patches(image) if role == "patches" else _seen_on_slide(image)
    mpp, source = settle_mpp(
        sheet=row.get("mpp", ""),
        metadata=seen.mpp,
        grid=raw.grid_mpp,
        stated=raw.stated_mpp,
        stated_in=raw.stated_in,
        image_scale=raw.image_scale,
        image=image,
        slide=row["slide"],
    )
    _check_inside(
        raw.spots,
        size=seen.size,
        path=next((files[r] for r in ("positions", "selection", "counts") if r in files), image),
        image=image,
    )
    record = SlideInfo(
        dataset=dataset,
        slide=row["slide"],
        patient=row["patient"],
        width_px=seen.size[0],
        height_px=seen.size[1],
        mpp=mpp,
        mpp_source=source,
        reader=seen.reader,
        image=image.name,
        image_sha256=file_sha256(image),
        platform=_platform(row, raw),
        spot_diameter_um=raw.spot_diameter_um,
        has_expression=raw.adata is not None,
    )
    table = spot_table(raw.spots, mpp=mpp)
    if raw.adata is not None:
        named, report, release = (naming or Naming()).apply(raw.adata)
        adata = expression_of(named, table, record, labels=raw.labels, identifier_release=release)
        check_expression(adata, path=expression)
        with complete_file(expression) as path:
            adata.write_h5ad(path, compression="gzip")
        if genes is not None:
            write_json(genes, report)
    write_parquet(spots, table)
    with complete_file(thumbnail) as path:
        Image.fromarray(seen.picture).save(path, format="JPEG", quality=THUMBNAIL_QUALITY)
    write_json(info, dataclasses.asdict(record))
    logger.info(
        "%s: %d spots, %s genes, %d × %d px at %.4g µm per pixel (%s), read by %s",
        record.slide,
        len(table),
        "no" if raw.adata is None else raw.adata.n_vars,
        *seen.size,
        mpp,
        source,
        seen.reader,
    )


@dataclass(frozen=True, kw_only=True)
class Naming:
    """How the genes of ``expression/`` are named (the config's ``identifiers``).

    names: ``published`` keeps the files' own; merge: of columns that come to mean one gene; gene_table: HGNC's or MGI's
    table of the species, ``None``: the built-in one.
    """

    names: Nomenclature = "published"
    merge: Merge = "sum"
    species: Species = "human"
    gene_table: str | Path | None = None

    def apply(self, adata: anndata.AnnData) -> tuple[anndata.AnnData, dict[str, Any], str]:
        """The counts under these names, the report as plain values, and the release of the table where it was used."""
        table = self.gene_table
        known = builtin(self.species) if table is None else read_gene_names(table, species=self.species)
        applied = self.names != "published"
        named, report = harmonise(adata, names=known, to=self.names if applied else "symbol", gene_merge=self.merge)
        facts = {"applied": applied, **report.to_json()}
        return (named, facts, known.release) if applied else (adata, facts, AS_PUBLISHED)


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What the pixels' file shows: its reader, size (width, height), µm per pixel if stated, and a thumbnail."""

    reader: str
    size: tuple[int, int]
    mpp: float | None
    picture: np.ndarray


def _seen_on_slide(image: Path) -> _Seen:
    with open_slide(image) as slide:
        slide.verify()
        size, picture = (slide.width_px, slide.height_px), slide.thumbnail(long_side_px=THUMBNAIL_PX)
        return _Seen(reader=slide.reader, size=size, mpp=slide.mpp, picture=picture)


def _seen_in_patches(image: Path) -> _Seen:
    with PatchFile(image) as file:
        picture = mosaic(file, long_side_px=THUMBNAIL_PX)
        return _Seen(reader=READER, size=extent_px(file), mpp=None, picture=picture)


def _platform(row: Mapping[str, str], raw: base.RawSlide) -> str:
    """The sheet's word for the platform, or the layout's; and what the layout adds of a coarser image."""
    stated = row.get("platform", "")
    if stated and raw.image_scale != 1:
        return f"{stated}, image {1 / raw.image_scale:.3g} times coarser than full resolution"
    return stated or raw.platform


def spot_table(spots: pd.DataFrame, *, mpp: float) -> pd.DataFrame:
    """The spots frame with µm, in the columns and order that are stored."""
    table = spots.assign(x_um=spots["x_px"] * mpp, y_um=spots["y_px"] * mpp)
    return table.sort_values(["grid_row", "grid_col"], kind="stable").reset_index(drop=True)[list(SPOT_COLUMNS)]


def expression_of(
    adata: anndata.AnnData,
    table: pd.DataFrame,
    record: SlideInfo,
    *,
    labels: pd.Series | None = None,
    identifier_release: str = AS_PUBLISHED,
) -> anndata.AnnData:
    """The counts in the order of ``table``, with coordinates, provenance and, where given, ``obs["label"]``."""
    adata = adata[table["spot_id"].to_numpy()].copy()
    if labels is not None:
        adata.obs["label"] = pd.Categorical(labels.loc[table["spot_id"]].to_numpy(dtype=str))
    adata.obsm["xy_um"] = table[["x_um", "y_um"]].to_numpy(np.float64)
    adata.obsm["xy_px"] = table[["x_px", "y_px"]].to_numpy(np.float64)
    adata.obsm["grid"] = table[["grid_row", "grid_col"]].to_numpy(np.int64)
    facts = dataclasses.asdict(record) | {"identifier_release": identifier_release}
    adata.uns = {key: facts[key] for key in EXPRESSION_UNS}
    return adata


def check_expression(adata: anndata.AnnData, *, path: str | Path) -> None:
    """Raise ``DataContractError`` unless ``adata`` is what ``expression/`` promises."""
    faults = {
        "X": (sparse.issparse(adata.X) and adata.X.format == "csr" and adata.X.dtype == np.int32, "CSR int32"),
        "obs_names": (adata.obs_names.is_unique, "unique spot ids"),
        "var_names": (adata.var_names.is_unique, "unique gene ids"),
        "var": ("symbol" in adata.var, "a column symbol"),
        "obsm": (
            set(adata.obsm) == set(EXPRESSION_OBSM)
            and all(adata.obsm[k].shape == (adata.n_obs, 2) for k in adata.obsm),
            f"{', '.join(EXPRESSION_OBSM)}, two columns each",
        ),
        "uns": (set(adata.uns) == set(EXPRESSION_UNS), ", ".join(EXPRESSION_UNS)),
    }
    for field, (kept, expected) in faults.items():
        if not kept:
            raise DataContractError(
                path, field, expected=expected, found="something else", remedy="the reader of this layout is at fault"
            )


def _check_inside(spots: pd.DataFrame, *, size: tuple[int, int], path: str | Path, image: Path) -> None:
    width, height = size
    outside = ~(spots["x_px"].between(0, width) & spots["y_px"].between(0, height))
    if outside.any():
        first = spots[outside].iloc[0]
        raise DataContractError(
            path,
            "spot positions",
            expected=f"centres inside 0..{width} × 0..{height} px, the size of {image.name}",
            found=f"{int(outside.sum())} of {len(spots)} outside "
            f"(first: {first['spot_id']} at {first['x_px']:g}, {first['y_px']:g})",
            remedy="use the full-resolution image that the positions refer to",
        )
