"""Fetch one published file into its dataset's root."""

from stainscript.stages import job_log
from stainscript.stages.download_file import download_file

made = snakemake.params.made
with job_log(snakemake.log[0]):
    download_file(dataset=made["dataset"], source=made["source"], root=made["root"], out=snakemake.output[0])
