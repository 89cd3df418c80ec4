"""Curate gene sets into pathways of one panel."""

from stainscript.stages import job_log
from stainscript.stages.curate_pathways import curate_pathways

made = snakemake.params.made
with job_log(snakemake.log[0]):
    curate_pathways(
        gene_sets=snakemake.input.gene_sets,
        rule=made["rule"],
        universe=list(snakemake.input.universe) or None,
        panel=snakemake.input.panel,
        gene_table=next(iter(snakemake.input.gene_table), None),
        species=made["names"]["species"],
        out=snakemake.output[0],
    )
