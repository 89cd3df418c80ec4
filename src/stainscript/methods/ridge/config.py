"""Options of ridge regression on frozen features."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from stainscript.methods.options import STRICT, Standardisation
from stainscript.types import Needs


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Config:
    """Every default with its reason."""

    # the view whose encoders' features are used
    view: str = "patch"
    # Own measurement, leave-one-slide-out over four HER2+ sections, 15 colour numbers, mean over folds of the best 50 PCC:
    # each slide by its own spots 0.456, training statistics 0.424. It uses features of the test slide, never its counts.
    standardise: Standardisation = "slide"
    # Same measurement: exact leave-one-out over spots chooses as well as inner leave-one-slide-out, at a fraction of the cost.
    select: Literal["loo", "slides", "fixed"] = "loo"
    # Penalty when select is "fixed", on the sum of squares over spots (scikit-learn's scale). Within the range that
    # "loo" chooses for a few thousand spots; HEST's benchmark uses 100/(D·G), which hardly regularises at all.
    alpha: Annotated[float, Field(gt=0)] = 1e3
    # Grid of "loo" and "slides": half decades; both ends were never chosen on the sections above.
    alphas: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = tuple(
        10 ** (n / 2) for n in range(13)
    )

    @property
    def needs(self) -> Needs:
        """One view's features."""
        return Needs(views=(self.view,))
