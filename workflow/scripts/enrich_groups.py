"""Test one panel's groups of genes for pathways."""

from stainscript.stages import job_log
from stainscript.stages.enrich_groups import enrich_groups

of = snakemake.wildcards
with job_log(snakemake.log[0]):
    enrich_groups(
        groups=snakemake.input.groups,
        pathways=snakemake.input.pathways,
        background=list(snakemake.input.background) or None,
        rule=snakemake.params.made["rule"],
        out=snakemake.output.table,
        figure=snakemake.output.figure,
        title=f"{of.dataset}, fold {of.fold}: panel {of.panel} ({of.protocol}), groups {of.groups} in {of.pathways}",
    )
