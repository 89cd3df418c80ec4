"""Units and the small frozen records that every layer shares."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NewType

Microns = NewType("Microns", float)
Pixels = NewType("Pixels", int)
Mpp = NewType("Mpp", float)  # µm per level-0 pixel

EdgePolicy = Literal["white", "reflect", "error"]
Corner = Literal["centred", "hest"]
Library = Literal["all", "panel"]
Smoothing = Literal["none", "grid3x3"]
PanelKind = Literal[
    "hmhvg",
    "top_mean",
    "heg",
    "top_variance",
    "top_total",
    "hvg_v3",
    "hest_hvg",
    "hest_mean",
    "fixed",
    "printed",
    "all",
]


class Space(StrEnum):
    """The numerical space an expression value lives in; ``counts`` are raw."""

    COUNTS = "counts"
    LOG1P = "log1p"  # ln(1 + count); HistoPrism section 3.1
    LOG2P1 = "log2p1"  # log2(1 + count); HINGE and Stem, released code
    LOG1P_CP10K = "log1p_cp10k"  # ln(1 + 1e4 · count / library size)
    LOG10P1_CP10K = "log10p1_cp10k"  # log10(1 + 1e4 · count / library size); classic protocol


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a protocol asks a method to predict.

    ``library`` says over which genes the library size is summed (``panel`` is the classic protocol's
    choice); ``smooth`` averages each spot with its occupied neighbours in the 3×3 array window.
    """

    space: Space
    library: Library = "all"
    smooth: Smoothing = "none"

    @property
    def label(self) -> str:
        """The space as a table prints it, with every departure from the default named."""
        parts = [self.space.value]
        if self.library == "panel":
            parts.append("panel library")
        if self.smooth != "none":
            parts.append("3×3 mean")
        return ", ".join(parts)


@dataclass(frozen=True, kw_only=True)
class SlideInfo:
    """One H&E image: size at level 0, scale, and where it came from."""

    dataset: str
    slide: str
    patient: str
    width_px: int
    height_px: int
    mpp: float
    mpp_source: str  # "sheet", "dataset metadata", "metadata" (of the image) or "spot grid"
    reader: str  # slide backend: openslide, tiff or array; patches: ready-made ones, no slide
    image: str  # file name of the image, without folders
    image_sha256: str
    platform: str = "unknown"
    spot_diameter_um: float | None = None
    has_expression: bool = True


@dataclass(frozen=True, kw_only=True)
class ViewSpec:
    """A named square field of view: ``width_px`` pixels of ``mpp`` µm each, or native pixels (``mpp=None``).

    ``grid`` k > 1 adds the adjacent patches: k×k of them, row-major, the spot's own in the middle (DKAN: 5).
    ``field`` f > 1 is one image that is f patches wide and high, the spot's patch in ``cell`` of it (row-major), or
    in one drawn per spot by ``seed`` among those that keep the image on the slide (STAMP: 3). ``corner: hest`` rounds
    corner and side to whole level-0 pixels as HEST-1k's patches do.
    """

    name: str
    width_px: int
    mpp: float | None
    edge: EdgePolicy
    grid: int = 1
    field: int = 1
    cell: int | None = None
    seed: int = 0
    corner: Corner = "centred"

    def width_um(self, *, slide_mpp: float) -> float:
        """Width in µm of one image on a slide of ``slide_mpp``."""
        return self.width_px * (self.mpp if self.mpp is not None else slide_mpp)

    @property
    def cells(self) -> int:
        """Images a spot."""
        return self.grid**2


@dataclass(frozen=True, kw_only=True)
class Panel:
    """The ordered genes a method predicts, with their training-slide mean and variance in the target space."""

    name: str
    gene_ids: tuple[str, ...]
    symbols: tuple[str, ...]
    mean: tuple[float, ...]
    variance: tuple[float, ...]
    training_slides: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.gene_ids)

    @property
    def sha256(self) -> str:
        """Identity of the panel: hash of the ordered gene ids."""
        return hashlib.sha256("\n".join(self.gene_ids).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One train / validation / test partition of a split.

    ``val`` are whole validation slides; ``val_spot_fraction`` instead holds out that share of each training
    slide's spots. Both are carved from the training side: a test slide never steers a fit.
    """

    index: int
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    val_spot_fraction: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a method reads. The batch loader brings these and nothing else.

    ``answers`` is for controls alone: ``measured`` hands the test slide's truth to the oracle, ``expected`` the
    phantom's true means to the ceiling. Every published method leaves it ``None``.
    """

    views: tuple[str, ...] = ()
    images: bool = False
    answers: Literal["measured", "expected"] | None = None
    gpu: bool = False
    gene_inputs: tuple[str, ...] = field(default_factory=tuple)


def canonical_json(value: object) -> str:
    """One text per value: sorted keys, no spaces; raises on anything that JSON cannot hold."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
