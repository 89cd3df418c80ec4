"""Options of the multilayer perceptron on frozen features."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from stainscript.methods.options import STRICT, Standardisation
from stainscript.types import Needs


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Config:
    """Every default is ours unless a source is named: this baseline has no paper."""

    # the view whose encoders' features are used
    view: str = "patch"
    # "slide" z-scores each slide by its own spots; measured 0.447 against 0.439 (at dropout 0.2), but a test slide then
    # has to be predicted as a whole
    standardise: Standardisation = "train"
    # width of each hidden layer: a quarter of a large encoder's 1,024 features, about the size of a panel
    hidden: Annotated[int, Field(ge=1)] = 256
    # hidden layers: the smallest number that can bend twice
    depth: Annotated[int, Field(ge=1)] = 2
    # measured as for ridge (same sections, features, panel): 0.453 with 0.5, 0.439 with 0.2
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    # AdamW's usual rate
    lr: Annotated[float, Field(gt=0)] = 1e-3
    # AdamW's default (PyTorch)
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    # a fold of the classic cohorts has 1,000 to 12,000 spots: tens of steps an epoch
    batch_size: Annotated[int, Field(ge=1)] = 128
    # an upper bound: early stopping ends fits on small cohorts within tens of epochs
    epochs: Annotated[int, Field(ge=1)] = 100
    # epochs without a better validation error; 20 is TRIPLEX's and DKAN's (released code). null: no early stopping
    patience: Annotated[int, Field(ge=1)] | None = 20
    # learning rate over epochs: down to zero along a cosine, halved on a plateau, or constant
    schedule: Literal["constant", "cosine", "plateau"] = "cosine"
    # largest norm of a step's gradient; null: no limit. 1.0 is HINGE's (released code)
    clip_norm: Annotated[float, Field(gt=0)] | None = 1.0
    # which weights predict: of the epoch with the least validation error, or of the last epoch
    weights: Literal["best", "last"] = "best"

    @model_validator(mode="after")
    def _plateau_needs_patience(self) -> Config:
        if self.schedule == "plateau" and self.patience is None:
            raise ValueError("schedule plateau looks at the validation error and needs patience")
        return self

    @property
    def needs(self) -> Needs:
        """One view's features; a GPU where there is one."""
        return Needs(views=(self.view,), gpu=True)
