"""Options of HEST-Bench's probe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from stainscript.methods.options import STRICT
from stainscript.types import Needs


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Config:
    """Every default with its reason; released code: mahmoodlab/HEST v1.1.1, ``bench``."""

    # the view whose encoders' features are used; the benchmark's is 224 px at 0.5 µm/px (112 µm)
    view: str = "patch"
    # "pca": z-score and principal components, both of the training spots (default of the code, table of the README);
    # "none": the features as they are (reported to be Table A13 of the paper). The two rank encoders differently.
    dimreduce: Literal["pca", "none"] = "pca"
    # principal components kept; the published table has 256
    components: Annotated[int, Field(gt=0)] = 256
    # a penalty of one's own; the released code has this option, and replaces it by 100 / (d·C) whatever it says
    alpha: Annotated[float, Field(gt=0)] | None = None
    # true: ``alpha`` is used; false: 100 / (d·C), as in every published number
    honour_alpha: bool = False

    @model_validator(mode="after")
    def _alpha_is_there(self) -> Config:
        if self.honour_alpha and self.alpha is None:
            raise ValueError("a number for alpha where honour_alpha is true")
        return self

    @property
    def needs(self) -> Needs:
        """One view's features."""
        return Needs(views=(self.view,))
