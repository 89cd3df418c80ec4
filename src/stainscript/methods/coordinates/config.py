"""Options of the coordinates control."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from stainscript.methods.options import STRICT
from stainscript.types import Needs


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Config:
    """Every default is ours: this control has no paper."""

    # where (0, 0) and (1, 1) lie: the box around the slide's spots, which does not depend on how the scan was cropped
    origin: Literal["spots", "slide"] = "spots"
    # polynomial: smooth trends over a slide; rbf: bumps on a regular grid, for patterns with more than a few turns
    basis: Literal["polynomial", "rbf"] = "polynomial"
    # 3: a centre, an edge and one turn between; higher degrees fit the training slides' outlines
    degree: Annotated[int, Field(ge=1, le=12)] = 3
    # bumps a side (rbf); their width is the distance between two of them
    bumps: Annotated[int, Field(ge=2, le=64)] = 6
    # ridge penalty on the sum of squares over spots; small beside the hundreds of spots of a slide
    alpha: Annotated[float, Field(gt=0)] = 1.0

    @property
    def needs(self) -> Needs:
        """Nothing: positions come with every batch."""
        return Needs()
