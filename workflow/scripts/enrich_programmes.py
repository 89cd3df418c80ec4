"""Test what one fold's predictions show of pathways."""

from stainscript.stages import job_log
from stainscript.stages.enrich_programmes import enrich_programmes

with job_log(snakemake.log[0]):
    enrich_programmes(
        predictions=snakemake.input.predictions,
        pathways=snakemake.input.pathways,
        metrics=snakemake.input.metrics,
        rule=snakemake.params.made["rule"],
        out=snakemake.output[0],
    )
