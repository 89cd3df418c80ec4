"""Sections about slides: cohorts, fields of view, image encoders, what a slide must show."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from stainscript.config.base import Name, Strict
from stainscript.types import Corner, EdgePolicy


class Dataset(Strict):
    """One published cohort: a sheet, and where its raw files are. The sheet's ``layout`` names each slide's reader."""

    generator: Name | None = Field(None, description="module of stainscript.datasets that draws the raw files")
    sheet: str = Field(description="TSV with slide, patient, layout, ...; path from the repository or working folder")
    root: str | None = Field(None, description="folder of the raw files; null: not available here")
    options: dict[str, Any] = Field(default_factory=dict, description="options of the reader")
    species: Literal["human", "mouse"] = "human"
    disease: str = Field("", description="context of gene descriptions, e.g. human breast cancer")
    downloads: str | None = Field(
        None, description="manifest of the published files; null: workflow/sheets/downloads/<the sheet's name>"
    )
    only: dict[str, str] = Field(default_factory=dict, description="rows of the sheet used: column → its cell")
    exclude: dict[Name, str] = Field(default_factory=dict, description="slides left out: name → reason")


class View(Strict):
    """A square field of view."""

    width_px: int = Field(gt=0, le=8192, description="pixels of the image, after resampling")
    mpp: float | None = Field(None, gt=0, description="µm per pixel after resampling; null: native pixels")
    width_um: float | None = Field(None, gt=0, description="width in µm, instead of mpp")
    edge: EdgePolicy = Field(description="what lies outside the slide: white, reflect, or an error")
    grid: int = Field(1, ge=1, le=15, description="k: the spot's patch amid k×k adjacent ones; odd")
    field: int = Field(1, ge=1, le=15, description="f: one image over f×f patches, the spot's patch in one of them")
    cell: int | None = Field(None, ge=0, description="field: which (row-major); null: drawn among those inside")
    seed: int = Field(0, ge=0, description="field: seed of the draw")
    corner: Corner = Field("centred", description="hest: corner and side rounded as HEST-1k's patches")
    cut_with: Name | None = Field(
        None, description="views that share this name are cut in one pass over a slide, always together"
    )

    @model_validator(mode="after")
    def _consistent(self) -> View:
        if not {"mpp", "width_um"} & self.model_fields_set:
            raise ValueError("state mpp (null: native pixels) or width_um")
        if self.mpp is not None and self.width_um is not None:
            raise ValueError("give mpp or width_um, not both")
        if self.grid % 2 == 0:
            raise ValueError("grid is odd, so that the spot's patch lies in the middle")
        if self.grid > 1 and self.field > 1:
            raise ValueError("a view is a grid of patches or a field, not both")
        if self.cell is not None and not self.cell < self.field**2:
            raise ValueError(f"cell is below field² = {self.field**2}")
        if self.field == 1 and self.seed:
            raise ValueError("seed belongs to a field")
        return self

    def spec(self, name: str) -> dict[str, Any]:
        """The view as ``ViewSpec`` takes it, JSON values only."""
        values = self.model_dump(mode="json", exclude={"width_um", "cut_with"}) | {"name": name}
        return values | ({"mpp": self.width_um / self.width_px} if self.width_um is not None else {})


class Encoder(Strict):
    """A frozen image encoder."""

    kind: str = Field(description="a module of stainscript.encoders, or timm:<model name>")
    weights: str | None = Field(
        None, description="file or folder; hub: fetched with your own token; random: by seed; null: random (timm), none"
    )
    weights_sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    revision: str = Field("main", description="hub: branch, tag or commit")
    seed: int = Field(0, ge=0, description="seed of random weights")
    options: dict[str, Any] = Field(default_factory=dict, description="timm: arguments of the model's constructor")
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    store: Literal["float16", "float32"] = "float32"
    batch_size: int = Field(64, gt=0, description="patches a forward pass")
    compile: bool = Field(False, description="torch.compile: a minute at the start, faster on long runs")


class FeatureGrid(Strict):
    """Features to make with or without experiments: every view of every slide of the datasets by every encoder."""

    datasets: tuple[Name, ...]
    views: tuple[Name, ...]
    encoders: tuple[Name, ...]


class Quality(Strict):
    """What a slide must show before costly jobs start on it."""

    mask: Literal["saturation", "entropy", "hed"] = Field("entropy", description="how tissue is found")
    min_on_tissue: float = Field(0.5, ge=0, le=1, description="share of spots that must lie on tissue")
    min_alignment: float = Field(0.8, ge=0, le=1, description="fit of spots and tissue over the best fit elsewhere")
    on_fail: Literal["error", "warn"] = "error"
