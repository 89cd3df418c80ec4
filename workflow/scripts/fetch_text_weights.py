"""Fetch one text encoder's published files with the user's own token."""

from stainscript.stages import job_log
from stainscript.stages.fetch_text_weights import fetch_text_weights

made = snakemake.params.made
with job_log(snakemake.log[0]):
    fetch_text_weights(kind=made["kind"], revision=made["revision"], sha256=made["sha256"], out=snakemake.output[0])
