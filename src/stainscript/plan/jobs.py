"""``Plan``: everything the Snakefile asks, one chapter a file of ``workflow/rules``.

Params hold just what a step depends on: its options, the digest of its code and of its environment. Inputs of different
jobs never overlap more than needed, so that a changed fold or option reruns only what it touches.
"""

from __future__ import annotations

from stainscript.plan.downloads import DownloadJobs
from stainscript.plan.features import FeatureJobs
from stainscript.plan.fits import FitJobs
from stainscript.plan.gene_inputs import GeneInputJobs
from stainscript.plan.genes import GeneJobs
from stainscript.plan.raw import RawJobs
from stainscript.plan.scores import ScoreJobs


class Plan(DownloadJobs, RawJobs, FeatureJobs, GeneJobs, GeneInputJobs, FitJobs, ScoreJobs):
    """The whole workflow. ``Plan(config, repository=...)`` reads and checks everything, and starts nothing."""
