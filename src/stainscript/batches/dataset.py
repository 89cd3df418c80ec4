"""From stored slides to one ``SpotBatch``: everything joined by spot id, nothing by position alone."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from stainscript import seeds
from stainscript.artifacts.schemas import FEATURES, SPOT_COLUMNS
from stainscript.artifacts.stores import open_store
from stainscript.batches.align import align
from stainscript.batches.batch import SpotBatch, join
from stainscript.batches.measured import require_measured
from stainscript.errors import DataContractError
from stainscript.genes.normalise import measures, target_matrix
from stainscript.types import SlideInfo, Target

logger = logging.getLogger(__name__)


if TYPE_CHECKING:
    import anndata


def load_slides(
    *,
    slides: Sequence[Mapping[str, Any]],
    gene_ids: Sequence[str] = (),
    target: Target | None = None,
    panel: str | Path = "panel",
    each_gene_somewhere: bool = True,
) -> SpotBatch:
    """Load whole slides, in the given order, spots in stored order.

    slides: one mapping each with ``slide``, the paths ``info`` and ``spots``, and optionally ``patient`` (compared with
    the stored one), ``features`` (view → folders of feature stores; several encoders are concatenated in that order),
    ``expression`` (h5ad of counts, made the target) and ``answers`` (h5ad, made the answers of a control).
    gene_ids (G) and target say what is read from the h5ad files; both may be left out where no slide has any. A gene
    that a slide does not measure has targets of 0 there and is not ``measured``. panel: the file that lists the genes,
    for messages; each_gene_somewhere: false for validation slides, which need not measure all that training slides do.
    Raises ``DataContractError`` where ids disagree, a feature is not finite, a spot of ours has no answers, a slide
    measures no gene, or no slide measures a gene.
    """
    if not slides:
        raise DataContractError(
            "split", "slides", expected="at least one slide", found="none", remedy="check the split and the sheet"
        )
    batch = join([_load_slide(entry, gene_ids=gene_ids, target=target, panel=panel) for entry in slides])
    if each_gene_somewhere:
        require_measured(batch, gene_ids=gene_ids, panel=panel)
    return batch


def carve_validation(batch: SpotBatch, *, fraction: float, seed: int) -> tuple[SpotBatch, SpotBatch]:
    """Hold out ``fraction`` of the spots of each slide, at random by ``seed`` and slide name.

    Per slide of n spots, max(1, min(round(fraction·n), n − 1)) are held out, halves rounded to even (HINGE's released
    loader). Returns training and validation spots, both in stored order. Raises when one side would be empty.
    """
    held = np.zeros(len(batch), dtype=bool)
    for slide, spots in zip(batch.slides, batch.spots_of_slides, strict=True):
        if len(spots):
            n_val = max(1, min(round(fraction * len(spots)), len(spots) - 1))
            rng = seeds.generator(seed, "validation", slide)
            held[rng.permutation(spots)[:n_val]] = True
    if held.all() or not held.any():
        raise DataContractError(
            "split",
            "validation.fraction",
            expected="training and validation spots",
            found=f"{int((~held).sum())} and {int(held.sum())} of {len(batch)} spots",
            remedy="give the split more training slides, or validation.by: none",
        )
    return batch.take(np.flatnonzero(~held)), batch.take(np.flatnonzero(held))


def _load_slide(
    entry: Mapping[str, Any], *, gene_ids: Sequence[str], target: Target | None, panel: str | Path
) -> SpotBatch:
    info = _read_info(entry)
    spots = _read_spots(entry["spots"])
    spot_id = spots["spot_id"].to_numpy(dtype=object)
    count = len(spots)
    grid = spots[["grid_row", "grid_col"]].to_numpy(dtype=np.int64)
    read = {
        view: _read_view(folders, spot_id, entry["spots"])
        for view, folders in sorted(entry.get("features", {}).items())
    }
    values, measured = _read_target(entry.get("expression"), spot_id, entry["spots"], gene_ids, target, panel)
    return SpotBatch(
        slides=(info.slide,),
        patients=(info.patient,),
        slide_index=np.zeros(count, dtype=np.int64),
        spot_id=spot_id,
        features={view: features for view, (features, _) in read.items()},
        xy_um=spots[["x_um", "y_um"]].to_numpy(dtype=np.float32),
        grid=grid,
        extent_um=np.tile(np.float32([info.width_px * info.mpp, info.height_px * info.mpp]), (count, 1)),
        target=values,
        answers=_read_answers(entry.get("answers"), spot_id, grid, gene_ids, target),
        masks={view: mask for view, (_, mask) in read.items() if mask is not None},
        measured=measured,
    )


def _read_info(entry: Mapping[str, Any]) -> SlideInfo:
    info = SlideInfo(**json.loads(Path(entry["info"]).read_text()))
    for name in ("slide", "patient"):
        if name in entry and entry[name] != getattr(info, name):
            raise DataContractError(
                entry["info"],
                name,
                expected=entry[name],
                found=getattr(info, name),
                remedy="the sheet changed after this slide was ingested; run ingest_slide again",
            )
    return info


def _read_spots(path: str | Path) -> pd.DataFrame:
    spots = pd.read_parquet(path)
    missing = [column for column in SPOT_COLUMNS if column not in spots.columns]
    if missing or not len(spots):
        raise DataContractError(
            path,
            "columns" if missing else "rows",
            expected=", ".join(SPOT_COLUMNS) if missing else "at least one spot",
            found=f"no {', '.join(missing)}" if missing else "none",
            remedy="run ingest_slide again",
        )
    return spots


def _read_view(
    folders: Sequence[str | Path], spot_id: np.ndarray, against: str | Path
) -> tuple[np.ndarray, np.ndarray | None]:
    """Features of a view by all its encoders, (S, D) or (S, K, D), and for K neighbours their (S, K) mask."""
    parts = [_read_features(folder, spot_id, against) for folder in folders]
    masks = [mask for _, mask in parts]
    for folder, mask in zip(folders, masks, strict=True):
        if (mask is None) != (masks[0] is None) or (mask is not None and not np.array_equal(mask, masks[0])):
            raise DataContractError(
                folder,
                "mask",
                expected=f"that of {folders[0]}",
                found="another",
                remedy="delete both folders and encode again",
            )
    return np.concatenate([features for features, _ in parts], axis=-1), masks[0]


def _read_features(
    folder: str | Path, spot_id: np.ndarray, against: str | Path
) -> tuple[np.ndarray, np.ndarray | None]:
    store = open_store(folder, *FEATURES)
    align(spot_id, store.ids("spot_id"), path=folder, against=against)
    features = store["features"].astype(np.float32)
    mask = store["mask"] if store.kind == "region_features" else None
    bad = np.argwhere(~np.isfinite(features))
    if len(bad):
        spot, *_, column = bad[0]
        raise DataContractError(
            folder,
            "features",
            expected="finite numbers",
            found=f"{features[tuple(bad[0])]} at spot {spot_id[spot]!r}, feature {column} ({len(bad)} such values)",
            remedy="check the encoder's weights and precision, delete this folder and encode again",
        )
    return features, mask


def _read_target(
    path: str | Path | None,
    spot_id: np.ndarray,
    against: str | Path,
    gene_ids: Sequence[str],
    target: Target | None,
    panel: str | Path,
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """(S, G) targets, 0 where the slide does not measure the gene, and (1, G) which it measures; None: all of them."""
    if path is None:
        return None, None
    adata = _read_counts(path)  # whole: the library size needs every gene, smoothing every spot
    align(spot_id, adata.obs_names.to_numpy(dtype=object), path=path, against=against)
    values = _checked_target(adata, path, gene_ids, target)
    there = measures(adata, gene_ids)
    if there.all():
        return values, None
    if not there.any():
        raise DataContractError(
            path,
            "gene_id",
            expected=f"some of the {len(there)} genes of {panel}",
            found=f"none; its first gene is {adata.var_names[0]}",
            remedy="panel and counts must use the same identifiers; choose the panel on this dataset's slides",
        )
    logger.info("%s does not measure %d of %d genes: masked", path, int((~there).sum()), len(there))
    return values, there[None]


def _read_answers(
    path: str | Path | None, spot_id: np.ndarray, grid: np.ndarray, gene_ids: Sequence[str], target: Target | None
) -> np.ndarray | None:
    """The answers of a control. Their file may hold more spots, in another order; ours must all be there."""
    if path is None:
        return None
    adata = _read_counts(path)
    rows = pd.Index(adata.obs_names).get_indexer(pd.Index(spot_id))
    if (rows < 0).any():
        first = spot_id[np.flatnonzero(rows < 0)[0]]
        raise DataContractError(
            path,
            "spot_id",
            expected=f"a row for {first!r}",
            found=f"none ({int((rows < 0).sum())} of {len(rows)} spots are missing)",
            remedy="answers and spots come from different raw files; make both again",
        )
    chosen = adata[rows].copy()
    chosen.obsm["grid"] = grid
    return _checked_target(chosen, path, gene_ids, target)  # no score looks at a gene that the slide does not measure


def _read_counts(path: str | Path) -> anndata.AnnData:
    import anndata  # here: predicting reads no counts, and this import takes longer than most predictions

    return anndata.read_h5ad(path)


def _checked_target(
    adata: anndata.AnnData, path: str | Path, gene_ids: Sequence[str], target: Target | None
) -> np.ndarray:
    if target is None:
        raise ValueError("reading expression needs a target")
    values = target_matrix(adata, gene_ids=gene_ids, target=target, unmeasured="zero")
    if not np.isfinite(values).all():
        raise DataContractError(
            path, "X", expected="finite values", found="NaN or infinity", remedy="run ingest_slide again"
        )
    return values
