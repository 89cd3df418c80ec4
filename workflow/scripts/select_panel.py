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
        vocabulary=next(iter(snakemake.input.vocabulary), None),
        species=made["names"]["species"],
        gene_table=next(iter(snakemake.input.gene_table), None),
        out=snakemake.output[0],
    )
