"""Fetch one published table."""

from stainscript.stages import job_log
from stainscript.stages.fetch_reference import fetch_reference

with job_log(snakemake.log[0]):
    fetch_reference(reference=snakemake.params.made, out=snakemake.output.table)
