"""The config as typed, frozen records: unknown keys, wrong types and dangling names fail before any job.

Imports neither torch nor pandas: Snakemake reads this package on every parse.
"""

from __future__ import annotations

from stainscript.config.experiments import (
    ExperimentSet,
    Grid,
    Hardware,
    MethodEntry,
    Protocol,
    Split,
    Subsets,
    TargetSpace,
    Validation,
)
from stainscript.config.genes import PanelRule
from stainscript.config.images import Dataset, Encoder, FeatureGrid, Quality, View
from stainscript.config.load import load, schemas
from stainscript.config.whole import Config

__all__ = [
    "Config",
    "Dataset",
    "Encoder",
    "ExperimentSet",
    "FeatureGrid",
    "Grid",
    "Hardware",
    "MethodEntry",
    "PanelRule",
    "Protocol",
    "Quality",
    "Split",
    "Subsets",
    "TargetSpace",
    "Validation",
    "View",
    "load",
    "schemas",
]
