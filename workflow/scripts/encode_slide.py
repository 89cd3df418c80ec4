"""Encode one slide's views with one frozen encoder, straight from the slide."""

from stainscript.stages import job_log
from stainscript.stages.encode_slide import encode_slide

given, made = snakemake.input, snakemake.params.made
with job_log(snakemake.log[0]):
    encode_slide(
        info=given.info,
        spots=given.spots,
        image=made["image"],
        views=made["views"],
        encoder=made["encoder"],
        hardware=made["hardware"] | {"workers": snakemake.resources.workers},
        out=dict(zip(made["views"], snakemake.output, strict=True)),
    )
