"""The config as typed, frozen records: unknown keys, wrong types and dangling names fail before any job.

Imports neither torch nor pandas: Snakemake reads this module on every parse.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stainscript.errors import DataContractError, unknown_name
from stainscript.types import Corner, EdgePolicy, Library, Smoothing, Space

Name = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="used in paths: letters, digits, _ and -")
]
Encoders = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*([+][A-Za-z0-9][A-Za-z0-9_-]*)*$",
        description="one encoder, or several joined by + whose features are concatenated",
    ),
]


FROM_FILES = ("protocols", "experiment_sets")  # keys of the whole config that config.yaml itself may not hold


class Strict(BaseModel):
    """Base of every section: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Dataset(Strict):
    """One published cohort: a sheet, and where its raw files are. The sheet's ``layout`` names each slide's reader."""

    generator: Name | None = Field(None, description="module of stainscript.datasets that draws the raw files")
    sheet: str = Field(description="TSV with slide, patient, layout, ...; path from the repository or working folder")
    root: str | None = Field(None, description="folder of the raw files; null: not available here")
    options: dict[str, Any] = Field(default_factory=dict, description="options of the reader")
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


class Validation(Strict):
    """How validation is carved from a fold's training slides."""

    by: Literal["none", "spots", "slide", "patient"] = "spots"
    fraction: float = Field(
        0.1, ge=0, lt=1, description="share of each training slide's spots, or of slides or patients"
    )


class Split(Strict):
    """A named partition scheme of a dataset's slides."""

    scheme: Literal[
        "leave_one_slide_out",
        "leave_one_patient_out",
        "kfold_by_patient",
        "fixed",
        "files",
        "hest_task",
        "hest_groups",
    ]
    slides: tuple[str, ...] | None = Field(None, description="use only these slides; null: all with image and counts")
    n_folds: int | None = Field(None, ge=2, description="kfold_by_patient; hest_groups")
    test: tuple[tuple[str, ...], ...] | None = Field(None, description="fixed: the test slides of each fold")
    folder: str | None = Field(
        None, description="files: HEST-Bench task's folder, from the dataset's root; {task}: its name"
    )
    task: str | None = Field(None, description="hest_task, or files to be checked: HEST-Bench task, or {task}")
    allow_shared_patients: bool = Field(False, description="true: a patient may be on both sides (as some papers do)")
    validation: Validation = Validation()
    seed: int = Field(0, ge=0)


class PanelRule(Strict):
    """How the genes to predict are chosen, on each fold's training slides."""

    rule: Literal["hmhvg", "top_mean", "top_variance", "top_total", "fixed", "hest_hvg", "hest_mean"]
    n: int = Field(gt=0, description="hmhvg: size of both rankings; others: number of genes")
    space: Space = Field(Space.COUNTS, description="space in which mean and variance are ranked")
    exclude_prefixes: tuple[str, ...] = Field((), description="symbols starting so are left out, e.g. MT-, RPS, RPL")
    preselect_hvg: int | None = Field(
        None, gt=0, description="per slide keep this many HVGs first and take the union (Stem)"
    )
    min_spot_share: float = Field(0.0, ge=0, lt=1, description="gene must be seen in this share of training spots")
    scope: Literal["train", "dataset"] = Field(
        "train", description="dataset: over all slides, as the classic papers did; leaks"
    )
    genes: tuple[str, ...] | None = Field(None, description="fixed: the list itself")
    genes_file: str | None = Field(
        None,
        description="fixed: instead of genes, a file of them, from the dataset's root; {task}: its HEST-Bench task",
    )

    @model_validator(mode="after")
    def _one_list(self) -> PanelRule:
        if self.genes_file is not None and (self.rule != "fixed" or self.genes is not None):
            raise ValueError("genes_file belongs to rule fixed, instead of genes")
        return self


class MethodEntry(Strict):
    """A named variant of a method: the method and its options."""

    method: Name
    options: dict[str, Any] = Field(default_factory=dict)


class TargetSpace(Strict):
    """What is predicted."""

    space: Space
    library: Library = "all"
    smooth: Smoothing = "none"


class Subsets(Strict):
    """Gene subsets that metrics are averaged over."""

    size: int = Field(50, gt=0, description="genes in HEG, HVG and HPG")
    best: tuple[int, ...] = Field((50,), description="post hoc: the n best-predicted genes of each slide")
    scope: Literal["train", "dataset"] = "train"


class Protocol(Strict):
    """What a paper calls its evaluation: target, panel, split, metrics."""

    source: str = Field(description="paper or code this protocol follows")
    target: TargetSpace
    panel: Name
    split: Name
    views: dict[Name, Name] = Field(
        {"patch": "patch"}, description="what a method calls a view → a view of config.yaml"
    )
    subsets: Subsets = Subsets()


class Grid(Strict):
    """A block of an experiment set: every method under every protocol on every dataset with every encoder."""

    datasets: tuple[Name, ...]
    protocols: tuple[Name, ...]
    methods: tuple[Name, ...]
    encoders: tuple[Encoders, ...]
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = (0,)
    unmeasured: bool = Field(False, description="also predict the datasets' slides that have no expression")


class FeatureGrid(Strict):
    """Features to make with or without experiments: every view of every slide of the datasets by every encoder."""

    datasets: tuple[Name, ...]
    views: tuple[Name, ...]
    encoders: tuple[Name, ...]


class ExperimentSet(Strict):
    """One file of ``workflow/experiments/``: what one table holds."""

    title: str
    source: str = ""
    grids: tuple[Grid, ...]
    map_genes: tuple[str, ...] = Field((), description="symbols always drawn in the report's maps, beside the best")


class Hardware(Strict):
    """What a fit may use."""

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = Field(1, ge=1, description="GPUs of one fit; more than one runs DDP")
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    threads: int = Field(1, ge=1, description="CPU threads of one fit; 1 is bit-reproducible")
    workers: int | None = Field(
        None, ge=1, description="threads that decode a slide while it is encoded; null: 1, beside a GPU 4"
    )
    save_every_s: int = Field(120, ge=0, description="seconds between resume points of a fit; 0: every epoch")


class Quality(Strict):
    """What a slide must show before costly jobs start on it."""

    mask: Literal["saturation", "entropy", "hed"] = Field("entropy", description="how tissue is found")
    min_on_tissue: float = Field(0.5, ge=0, le=1, description="share of spots that must lie on tissue")
    min_alignment: float = Field(0.8, ge=0, le=1, description="fit of spots and tissue over the best fit elsewhere")
    on_fail: Literal["error", "warn"] = "error"


class Config(Strict):
    """The whole config: ``config.yaml`` with the protocols and experiment sets it names."""

    experiments: tuple[Name, ...] = ()
    features: tuple[FeatureGrid, ...] = Field((), description="features to make besides what experiments need")
    datasets: dict[Name, Dataset]
    views: dict[Name, View]
    encoders: dict[Name, Encoder]
    splits: dict[Name, Split]
    panels: dict[Name, PanelRule]
    methods: dict[Name, MethodEntry]
    hardware: Hardware = Hardware()
    quality: Quality = Quality()
    keep_patches: bool = False
    download: tuple[Name, ...] = Field((), description="datasets that the target download fetches into their root")
    bootstrap: int = Field(2000, ge=0, description="patient-level bootstrap resamples; 0: no intervals")
    protocols: dict[Name, Protocol] = Field(default_factory=dict)
    experiment_sets: dict[Name, ExperimentSet] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_resolve(self) -> Config:
        if not (self.experiments or self.features or self.download):
            raise ValueError("experiments, features or download, else there is nothing to do")
        for name in self.download:
            _known("config.yaml", "download", name, self.datasets)
        for number, wanted in enumerate(self.features):
            for noun in ("datasets", "views", "encoders"):
                for value in getattr(wanted, noun):
                    _known("config.yaml", f"features.{number}.{noun}", value, getattr(self, noun))
        for name, protocol in self.protocols.items():
            path = f"workflow/protocols/{name}.yaml"
            for noun, value in (("panel", protocol.panel), ("split", protocol.split)):
                _known(path, noun, value, getattr(self, noun + "s"))
            for role, view in protocol.views.items():
                _known(path, f"views.{role}", view, self.views)
        for name, chosen in self.experiment_sets.items():
            path = f"workflow/experiments/{name}.yaml"
            for grid in chosen.grids:
                for noun in ("datasets", "protocols", "methods"):
                    for value in getattr(grid, noun):
                        _known(path, noun, value, getattr(self, noun))
                for value in grid.encoders:
                    for part in value.split("+"):
                        _known(path, "encoders", part, self.encoders)
        return self


def load(raw: dict[str, Any], *, folders: Sequence[str | Path], path: str | Path = "config.yaml") -> Config:
    """Read the merged config: ``raw`` (``config.yaml`` and command line) plus protocol and experiment files.

    folders: where ``protocols/`` and ``experiments/`` are looked for, the first that has a name wins: the working
    folder's own ``workflow``, then the repository's. Raises ``DataContractError`` that names the file, the key, what
    was expected and the near alternatives.
    """
    known_sets, known_protocols = _files(folders, "experiments"), _files(folders, "protocols")
    chosen = raw.get("experiments") or []
    chosen = [chosen] if isinstance(chosen, str) else list(chosen)
    for name in chosen:
        _known(path, "experiments", name, known_sets)
    sets = {name: _parse(ExperimentSet, _yaml(known_sets[name]), known_sets[name]) for name in chosen}
    protocols = {}
    for name, found in sets.items():
        for wanted in sorted({protocol for grid in found.grids for protocol in grid.protocols}):
            _known(known_sets[name], "protocols", wanted, known_protocols)
            protocols[wanted] = _parse(Protocol, _yaml(known_protocols[wanted]), known_protocols[wanted])
    for owned in FROM_FILES:
        if owned in raw:
            raise DataContractError(
                path, owned, expected="no such key", found="one", remedy=f"put it into a file of workflow/{owned}/"
            )
    body = {**raw, "experiments": chosen, "protocols": protocols, "experiment_sets": sets}
    return _parse(Config, body, path)


def schemas() -> dict[str, dict[str, Any]]:
    """JSON schemas of ``config.yaml``, protocols and experiment sets, by file name: for editors, from the models."""
    whole = Config.model_json_schema()
    for owned in FROM_FILES:
        del whole["properties"][owned]
    made = {"config": whole, "protocol": Protocol.model_json_schema(), "experiments": ExperimentSet.model_json_schema()}
    return {f"{name}.schema.json": schema for name, schema in made.items()}


def _parse(model: type[BaseModel], value: Any, path: str | Path) -> Any:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _explain(error, model, path) from error


def _explain(error: ValidationError, model: type[BaseModel], path: str | Path) -> DataContractError:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or "the whole config"
    if first["type"] == "extra_forbidden":
        return unknown_name(path, where, str(first["loc"][-1]), _keys_at(model, first["loc"][:-1]))
    return DataContractError(
        path,
        where,
        expected=first["msg"].removeprefix("Value error, "),
        found=repr(first["input"])[:80],
        remedy="correct this key; see its comment in config.yaml",
    )


def _keys_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The legal keys of the section at ``loc``, following models through dicts and tuples."""
    current: Any = model
    for part in loc:
        if isinstance(current, type) and issubclass(current, BaseModel) and part in current.model_fields:
            current = current.model_fields[part].annotation
        for inner in getattr(current, "__args__", ()):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                current = inner
    return (
        sorted(set(current.model_fields) - set(FROM_FILES))
        if isinstance(current, type) and issubclass(current, BaseModel)
        else []
    )


def _known(path: str | Path, field: str, name: str, known: Any) -> None:
    if name not in known:
        raise unknown_name(path, field, name, known)


def _files(folders: Sequence[str | Path], kind: str) -> dict[str, Path]:
    """Name → file of every YAML of a kind; earlier folders win."""
    found = {path.stem: path for folder in reversed(folders) for path in sorted((Path(folder) / kind).glob("*.yaml"))}
    return dict(sorted(found.items()))


def _yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise DataContractError(
            path, "syntax", expected="YAML", found=str(error).replace("\n", " "), remedy="correct the file"
        ) from error
