"""Encode one slide's patches with one frozen encoder."""

from stainscript.stages import job_log
from stainscript.stages.encode_patches import encode_patches

made = snakemake.params.made
with job_log(snakemake.log[0]):
    encode_patches(
        patches=snakemake.input.patches,
        encoder=made["encoder"],
        hardware=made["hardware"],
        out=snakemake.output[0],
    )
