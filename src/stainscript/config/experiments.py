"""Sections about comparisons: splits, methods, protocols, and the experiments that a table holds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from stainscript.config.base import Encoders, Name, Strict
from stainscript.types import Library, Smoothing, Space


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


class ExperimentSet(Strict):
    """One file of ``workflow/experiments/``: what one table holds."""

    title: str
    source: str = ""
    grids: tuple[Grid, ...]
    pathways: tuple[Name, ...] = Field((), description="tested for programmes and well-predicted genes")
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
    dask: str | None = Field(None, description="address of a dask scheduler for gene statistics; null: threads here")
    save_every_s: int = Field(120, ge=0, description="seconds between resume points of a fit; 0: every epoch")
