"""Average one experiment set's metrics into its leaderboard."""

from stainscript.stages import job_log
from stainscript.stages.tabulate import tabulate

made, given, out = snakemake.params.made, snakemake.input, snakemake.output
with job_log(snakemake.log[0]):
    tabulate(
        slides=given.slides,
        genes=given.genes,
        experiments=made["experiments"],
        bootstrap=made["bootstrap"],
        tsv=out.tsv,
        md=out.md,
        tex=out.tex,
    )
