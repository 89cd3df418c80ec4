"""Options of the nearest-neighbour control."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from stainscript.methods.options import STRICT, Standardisation
from stainscript.types import Needs


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Config:
    """Every default with its reason."""

    # the view whose encoders' features are compared
    view: str = "patch"
    # one: the control asks what plain retrieval gives, without averaging
    neighbours: Annotated[int, Field(ge=1)] = 1
    # as ridge, so that the two differ in nothing but the learner
    standardise: Standardisation = "train"
    # after standardisation all features weigh alike; cosine ignores how far a spot is from the mean
    metric: Literal["euclidean", "cosine"] = "euclidean"

    @property
    def needs(self) -> Needs:
        """One view's features."""
        return Needs(views=(self.view,))
