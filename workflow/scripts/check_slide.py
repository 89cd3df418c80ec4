"""Check one slide's spots against its tissue."""

from pathlib import Path

from stainscript.stages import job_log
from stainscript.stages.check_slide import check_slide

made, given, out = snakemake.params.made, snakemake.input, snakemake.output
with job_log(snakemake.log[0]):
    check_slide(
        info=given.info,
        spots=given.spots,
        image=made["image"],
        options=made["options"],
        out_json=out.numbers,
        out_picture=out.picture,
        kept=Path(snakemake.log[0]).with_suffix(""),
    )
