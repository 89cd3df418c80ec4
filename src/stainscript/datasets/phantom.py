"""The phantom: slides drawn from a seed, so that the whole workflow runs without network, weights or data.

Each patient P1 to P3 has one Visium and one legacy ST slide; P4 has a slide without expression. Raw files come out
in the layouts that the ordinary readers read, with the true expected counts beside them in ``truth/expected.h5ad``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from stainscript import seeds
from stainscript.datasets import phantom_counts, phantom_files
from stainscript.datasets.phantom_render import Stain, render
from stainscript.datasets.phantom_tissue import grow_tissue
from stainscript.errors import DataContractError, unknown_name

logger = logging.getLogger(__name__)

MARGIN_UM = 170.0  # glass around the outermost capture places
REGISTRATION_SD = 0.03  # how far legacy spots lie off their array position, in pitches
GRID_ORIGIN = (5, 7)  # row, column of the first legacy place: real sections do not start at the array's corner
TINY_GENES = 120


@dataclass(frozen=True, kw_only=True)
class SlideSpec:
    """What one phantom slide is; ``size`` and ``mpp`` for ``spots: full``."""

    patient: str
    layout: Literal["visium", "legacy_st", "wsi"]
    mpp: float
    size: tuple[int, int]  # rows and columns of capture places
    release: int = 2  # of Space Ranger, whose positions file changed with 2
    empty_spot: bool = False  # one spot whose counts are all zero


SLIDES: dict[str, SlideSpec] = {
    "P1V": SlideSpec(patient="P1", layout="visium", mpp=0.50, size=(24, 22)),
    "P1L": SlideSpec(patient="P1", layout="legacy_st", mpp=0.72, size=(20, 19), empty_spot=True),
    "P2V": SlideSpec(patient="P2", layout="visium", mpp=0.60, size=(25, 21), release=1),
    "P2L": SlideSpec(patient="P2", layout="legacy_st", mpp=0.78, size=(19, 20)),
    "P3V": SlideSpec(patient="P3", layout="visium", mpp=0.55, size=(26, 23)),
    "P3L": SlideSpec(patient="P3", layout="legacy_st", mpp=0.75, size=(20, 20)),
    "W1": SlideSpec(patient="P4", layout="wsi", mpp=0.50, size=(22, 22)),
}
TINY_SIZE = (10, 10)
TINY_MPP = {"visium": 0.8, "legacy_st": 1.0, "wsi": 0.8}
COVERED = 0.79  # share of the capture places under tissue
PITCH_UM = {"visium": 100.0, "legacy_st": 200.0, "wsi": 100.0}


@dataclass(frozen=True, kw_only=True)
class Options:
    """How much to draw.

    seed: of everything; spots: ``full`` (299 to 472 a slide) or ``tiny`` (about 80, coarser pixels); n_genes: size of
    the gene table, ``None`` for all of them (with ``tiny``: for 120).
    """

    seed: int = 0
    spots: Literal["full", "tiny"] = "full"
    n_genes: int | None = None

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> Options:
        """Options as the config gives them. Raises ``DataContractError`` for unknown names and illegal values."""
        field = "datasets.phantom.options"
        for name in options:
            if name not in {f.name for f in fields(cls)}:
                raise unknown_name("config.yaml", field, name, [f.name for f in fields(cls)])
        made = cls(**options)
        n_most = len(phantom_counts.programme_of())
        for name, legal, expected in (
            ("seed", type(made.seed) is int and made.seed >= 0, "an integer from 0"),
            ("spots", made.spots in ("full", "tiny"), "full or tiny"),
            (
                "n_genes",
                made.n_genes is None or (type(made.n_genes) is int and 20 <= made.n_genes <= n_most),
                f"null or an integer from 20 to {n_most}",
            ),
        ):
            if not legal:
                raise DataContractError(
                    "config.yaml", f"{field}.{name}", expected=expected, found=repr(options[name]), remedy="correct it"
                )
        return made


def draw(*, slide: str, options: Options, out: Path) -> None:
    """Write the raw files of ``slide`` into the folder ``out``: the same bytes for the same options.

    Raises ``DataContractError`` for a slide that the phantom does not have.
    """
    if slide not in SLIDES:
        raise unknown_name("phantom", "slide", slide, SLIDES)
    spec = SLIDES[slide] if options.spots == "full" else _tiny(SLIDES[slide])
    grid, off = _places(spec, _rng(options, slide, "registration"))
    xy_um = _centres(spec, grid, off)
    size_um = np.ceil((xy_um.max(axis=0) + MARGIN_UM) / spec.mpp / 16) * 16 * spec.mpp
    tissue, under = grow_tissue(
        _rng(options, slide, "tissue"), width_um=size_um[0], height_um=size_um[1], lattice_um=xy_um, covered=COVERED
    )
    stain = Stain.drawn(_rng(options, spec.patient, "stain"))
    image = render(_rng(options, slide, "image"), tissue=tissue, mpp=spec.mpp, stain=stain)
    if spec.layout == "wsi":
        phantom_files.write_pyramid(out / f"{slide}.tif", image, mpp=spec.mpp)
        return
    has_counts = under.copy()
    if spec.layout == "legacy_st":  # a selected place whose counts are missing, as in real sections
        has_counts[np.flatnonzero(under)[int(under.sum()) // 3]] = False
    few = TINY_GENES if options.spots == "tiny" else None
    genes = phantom_counts.draw_genes(options.seed, n_genes=options.n_genes or few)
    expected = phantom_counts.expected_counts(
        _rng(options, slide, "expected"),
        genes=genes,
        tissue=tissue,
        xy_um=xy_um[has_counts],
        patient=spec.patient,
        platform=spec.layout,
        seed=options.seed,
    )
    counts = phantom_counts.draw_counts(_rng(options, slide, "counts"), expected, dispersion=genes.dispersion)
    if spec.empty_spot:
        counts[len(counts) // 2] = 0
    common = {"image": image, "slide": slide, "counts": counts, "symbols": genes.symbols}
    if spec.layout == "visium":
        barcodes = phantom_files.visium_barcodes(len(grid))
        spot_ids = barcodes[has_counts]
        phantom_files.write_space_ranger(
            out / "outs",
            mpp=spec.mpp,
            release=spec.release,
            barcodes=barcodes,
            in_tissue=under,
            grid=grid,
            xy_px=xy_um / spec.mpp,
            **common,
        )
    else:
        spot_ids = phantom_files.legacy_spot_ids(grid[has_counts])
        phantom_files.write_legacy_st(
            out / "data",
            grid=grid[under],
            registered=(grid[:, ::-1] + off)[under],
            xy_px=xy_um[under] / spec.mpp,
            has_counts=has_counts[under],
            order=_rng(options, slide, "row order").permutation(len(spot_ids)),
            **common,
        )
    phantom_files.write_truth(
        out / "truth" / "expected.h5ad",
        expected=expected,
        spot_ids=spot_ids,
        symbols=genes.symbols,
        programme=genes.programme,
        kind=genes.kind,
    )
    logger.info("drew %s: %d × %d px, %d spots, %d genes", slide, image.shape[1], image.shape[0], *expected.shape)


def _rng(options: Options, *names: str) -> np.random.Generator:
    return seeds.generator(options.seed, "phantom", *names)


def _tiny(spec: SlideSpec) -> SlideSpec:
    return replace(spec, size=TINY_SIZE, mpp=TINY_MPP[spec.layout])


def _places(spec: SlideSpec, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """All capture places by (row, column): grid (P, 2), and how far each lies off it, (P, 2) x, y in pitches."""
    rows, columns = (a.ravel() for a in np.indices(spec.size))
    if spec.layout == "legacy_st":
        off = np.clip(rng.normal(0, REGISTRATION_SD, size=(rows.size, 2)), -0.1, 0.1)
        return np.stack([rows, columns], axis=1) + GRID_ORIGIN, off
    return np.stack([rows, 2 * columns + rows % 2], axis=1), np.zeros((rows.size, 2))  # odd rows have odd columns


def _centres(spec: SlideSpec, grid: np.ndarray, off: np.ndarray) -> np.ndarray:
    """Centres (P, 2) x, y in µm: square lattice for legacy ST, for Visium hexagonal with two columns a pitch."""
    steps = grid - GRID_ORIGIN if spec.layout == "legacy_st" else grid * (np.sqrt(0.75), 0.5)
    return MARGIN_UM + PITCH_UM[spec.layout] * (steps[:, ::-1] + off)
