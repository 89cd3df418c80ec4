"""``SpotBatch``: some spots with everything a method may see of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class SpotBatch:
    """S spots of one or several slides.

    Arrays are NumPy, or torch tensors after ``to``; ids and slide names always stay NumPy on the host.
    ``take`` is the only way to subset, so every field stays aligned.
    """

    slides: tuple[str, ...]  # N names; slide_index points into them
    patients: tuple[str, ...]  # N, patient of each slide
    slide_index: Any  # (S,) int64
    spot_id: np.ndarray  # (S,) str objects
    features: dict[str, Any]  # view → (S, D) float32, or (S, K, D)
    xy_um: Any  # (S, 2) float32, (x, y)
    grid: Any  # (S, 2) int64, (row, col)
    extent_um: Any  # (S, 2) float32: width and height of the spot's slide
    target: Any | None = None  # (S, G) float32 in the protocol's space; None when predicting
    answers: Any | None = None  # (S, G) float32, for the oracle and ceiling controls alone
    masks: dict[str, Any] = field(default_factory=dict)  # view of K neighbours → (S, K) bool, false beyond the slide
    measured: Any | None = None  # (N, G) bool, by slide: where false, ``target`` says nothing; None: every gene is

    def __len__(self) -> int:
        return len(self.slide_index)

    def take(self, index: Any) -> SpotBatch:
        """The spots at ``index`` ((B,) integers, NumPy or a tensor), in that order.

        A NumPy index is copied to the batch's device once, without waiting for it; an index that already lies on
        the device has to be waited for, because the ids stay on the host. An index of (B, K) gives every field a
        neighbour axis.
        """
        host = index.cpu().numpy() if hasattr(index, "cpu") else np.asarray(index)
        where = host
        if hasattr(self.slide_index, "device") and not isinstance(self.slide_index, np.ndarray):
            import torch

            where = torch.as_tensor(index).to(self.slide_index.device, non_blocking=True)
        return replace(
            self,
            slide_index=self.slide_index[where],
            spot_id=self.spot_id[host],
            features={view: values[where] for view, values in self.features.items()},
            xy_um=self.xy_um[where],
            grid=self.grid[where],
            extent_um=self.extent_um[where],
            target=None if self.target is None else self.target[where],
            answers=None if self.answers is None else self.answers[where],
            masks={view: values[where] for view, values in self.masks.items()},
        )

    def to(self, device: torch.device | str) -> SpotBatch:
        """The same spots as torch tensors on ``device``; features keep their precision."""
        import torch

        def tensor(values: Any) -> Any:
            return None if values is None else torch.as_tensor(values).to(device)

        return replace(
            self,
            slide_index=tensor(self.slide_index),
            features={view: tensor(values) for view, values in self.features.items()},
            xy_um=tensor(self.xy_um),
            grid=tensor(self.grid),
            extent_um=tensor(self.extent_um),
            target=tensor(self.target),
            answers=tensor(self.answers),
            masks={view: tensor(values) for view, values in self.masks.items()},
            measured=tensor(self.measured),
        )

    @property
    def target_mask(self) -> Any | None:
        """Which entries of ``target`` were measured, (S, G) bool where the batch lies; None: all of them."""
        return None if self.measured is None else self.measured[self.slide_index]

    @property
    def spots_of_slides(self) -> list[np.ndarray]:
        """Per slide, the indices of its spots."""
        index = self.slide_index.cpu().numpy() if hasattr(self.slide_index, "cpu") else self.slide_index
        return [np.flatnonzero(index == n) for n in range(len(self.slides))]


def join(batches: Sequence[SpotBatch]) -> SpotBatch:
    """All spots of ``batches`` (NumPy), one after the other; a slide that stands in several keeps one index.

    Views, and whether there are targets and answers, must be the same in all; raises ``ValueError`` otherwise. A batch
    without ``measured`` measures every gene on its slides.
    """
    first = batches[0]
    patient_of = {s: p for b in batches for s, p in zip(b.slides, b.patients, strict=True)}
    slides = tuple(patient_of)
    for other in batches[1:]:
        for name in ("target", "answers"):
            if (getattr(other, name) is None) != (getattr(first, name) is None):
                raise ValueError(f"some of the batches to join have {name}, some do not")
        for name in ("features", "masks"):
            ours, theirs = (sorted(getattr(b, name)) for b in (first, other))
            if ours != theirs:
                raise ValueError(f"batches of different views: {ours} and {theirs} ({name})")
    places = [np.asarray([slides.index(s) for s in b.slides], dtype=np.int64)[b.slide_index] for b in batches]

    def stacked(name: str) -> Any:
        return None if getattr(first, name) is None else np.concatenate([getattr(b, name) for b in batches])

    return SpotBatch(
        slides=slides,
        patients=tuple(patient_of.values()),
        slide_index=np.concatenate(places),
        spot_id=stacked("spot_id"),
        features={view: np.concatenate([b.features[view] for b in batches]) for view in first.features},
        xy_um=stacked("xy_um"),
        grid=stacked("grid"),
        extent_um=stacked("extent_um"),
        target=stacked("target"),
        answers=stacked("answers"),
        masks={view: np.concatenate([b.masks[view] for b in batches]) for view in first.masks},
        measured=_joined_measured(batches, slides),
    )


def _joined_measured(batches: Sequence[SpotBatch], slides: tuple[str, ...]) -> np.ndarray | None:
    """(N, G) bool in the order of ``slides``; None where no batch has any."""
    genes = next((b.measured.shape[1] for b in batches if b.measured is not None), None)
    if genes is None:
        return None
    of_slide: dict[str, np.ndarray] = {}
    for batch in batches:
        rows = np.ones((len(batch.slides), genes), dtype=bool) if batch.measured is None else batch.measured
        for slide, row in zip(batch.slides, rows, strict=True):
            if not np.array_equal(of_slide.setdefault(slide, row), row):
                raise ValueError(f"the batches to join disagree on the genes that slide {slide} measures")
    return np.stack([of_slide[slide] for slide in slides])
