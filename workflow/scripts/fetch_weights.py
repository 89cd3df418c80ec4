"""Fetch one encoder's published weights with the user's own token."""

from stainscript.stages import job_log
from stainscript.stages.fetch_weights import fetch_weights

made = snakemake.params.made
with job_log(snakemake.log[0]):
    fetch_weights(kind=made["kind"], revision=made["revision"], sha256=made["sha256"], out=snakemake.output[0])
