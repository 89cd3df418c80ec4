"""Order and group one panel's genes by the fold's training slides."""

from stainscript.stages import job_log
from stainscript.stages.group_genes import group_genes

made = snakemake.params.made
with job_log(snakemake.log[0]):
    group_genes(
        panel=snakemake.input.panel,
        expression=snakemake.input.expression,
        rule=made["rule"],
        gene_sets=next(iter(snakemake.input.gene_sets), None),
        species=made["names"]["species"],
        gene_table=next(iter(snakemake.input.gene_table), None),
        out=snakemake.output[0],
    )
