"""Describe the genes of a panel, all folds together."""

from stainscript.stages import job_log
from stainscript.stages.describe_genes import describe_genes

made = snakemake.params.made
with job_log(snakemake.log[0]):
    describe_genes(
        panels=[snakemake.input.panels],
        rule=made["rule"],
        gene_sets=next(iter(snakemake.input.gene_sets), None),
        gene_table=next(iter(snakemake.input.gene_table), None),
        species=made["names"]["species"],
        cache=snakemake.resources.cache,
        out=snakemake.output[0],
    )
