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
from stainscript.config.genes import (
    DescriptionRule,
    EnrichmentRule,
    GroupRule,
    Ncbi,
    PanelRule,
    PathwayRule,
    ProgrammeRule,
    Rewrite,
    Statistics,
    TextEncoder,
    TokenRule,
)
from stainscript.config.images import Dataset, Encoder, FeatureGrid, Quality, View
from stainscript.config.load import load, schemas
from stainscript.config.references import GeneGrid, Identifiers, Reference
from stainscript.config.whole import Config

__all__ = [
    "Config",
    "Dataset",
    "DescriptionRule",
    "Encoder",
    "EnrichmentRule",
    "ExperimentSet",
    "FeatureGrid",
    "GeneGrid",
    "Grid",
    "GroupRule",
    "Hardware",
    "Identifiers",
    "MethodEntry",
    "Ncbi",
    "PanelRule",
    "PathwayRule",
    "ProgrammeRule",
    "Protocol",
    "Quality",
    "Reference",
    "Rewrite",
    "Split",
    "Statistics",
    "Subsets",
    "TargetSpace",
    "TextEncoder",
    "TokenRule",
    "Validation",
    "View",
    "load",
    "schemas",
]
