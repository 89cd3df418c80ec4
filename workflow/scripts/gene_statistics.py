"""Reference statistics of one fold's training slides."""

from stainscript.stages import job_log
from stainscript.stages.gene_statistics import gene_statistics

with job_log(snakemake.log[0]):
    gene_statistics(
        expression=snakemake.input.expression,
        scheduler=snakemake.resources.dask or None,
        block_spots=snakemake.resources.block_spots,
        threads=snakemake.threads,
        hvg=snakemake.params.made["hvg"],
        out=snakemake.output.statistics,
        qc=snakemake.output.quality,
    )
