"""``SpotBatch``: some spots with everything a method may see of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
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

    def __len__(self) -> int:
        return len(self.slide_index)

    def take(self, index: Any) -> SpotBatch:
        """The spots at ``index`` ((B,) integers, NumPy or a tensor on this batch's device), in that order."""
        host = index.cpu().numpy() if hasattr(index, "cpu") else np.asarray(index)
        return replace(
            self,
            slide_index=self.slide_index[index],
            spot_id=self.spot_id[host],
            features={view: values[index] for view, values in self.features.items()},
            xy_um=self.xy_um[index],
            grid=self.grid[index],
            extent_um=self.extent_um[index],
            target=None if self.target is None else self.target[index],
            answers=None if self.answers is None else self.answers[index],
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
        )

    @property
    def spots_of_slides(self) -> list[np.ndarray]:
        """Per slide, the indices of its spots."""
        index = self.slide_index.cpu().numpy() if hasattr(self.slide_index, "cpu") else self.slide_index
        return [np.flatnonzero(index == n) for n in range(len(self.slides))]
