"""Tabulate an experiment set as HEST-Bench does, beside the published table."""

from stainscript.stages import job_log
from stainscript.stages.tabulate_hest_bench import tabulate_hest_bench

made, given, out = snakemake.params.made, snakemake.input, snakemake.output
with job_log(snakemake.log[0]):
    tabulate_hest_bench(
        genes=given.genes, experiments=made["experiments"], tsv=out.tsv, md=out.md, tasks_tsv=out.tasks_tsv
    )
