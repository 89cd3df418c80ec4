"""Fit one method on one fold with one seed."""

from stainscript.stages import job_log
from stainscript.stages.fit import fit

made, out = snakemake.params.made, snakemake.output
with job_log(snakemake.log[0]):
    fit(
        spec=made["spec"],
        inputs=made["files"],
        checkpoint=out.checkpoint,
        history=out.history,
        run_record=out.record,
        resume=made["resume"],
        save_every_s=snakemake.resources.save_every_s,
    )
