"""Cut the patches of one slide's spots for one view."""

from stainscript.stages import job_log
from stainscript.stages.extract_patches import extract_patches

made, given = snakemake.params.made, snakemake.input
with job_log(snakemake.log[0]):
    extract_patches(
        info=given.info,
        spots=given.spots,
        image=made["image"],
        view=made["view"],
        workers=snakemake.resources.workers,
        out=snakemake.output[0],
    )
