"""Choose one fold's gene panel on its training slides."""

from stainscript.stages import job_log
from stainscript.stages.select_panel import select_panel

made = snakemake.params.made
with job_log(snakemake.log[0]):
    select_panel(
        expression=snakemake.input.expression,
        name=snakemake.wildcards.panel,
        rule=made["rule"],
        target=made["target"],
        out=snakemake.output[0],
    )
