"""Predict one slide with one fitted method."""

from stainscript.stages import job_log
from stainscript.stages.predict import predict

made, w = snakemake.params.made, snakemake.wildcards
with job_log(snakemake.log[0]):
    predict(
        checkpoint=made["checkpoint"],
        **made["files"],
        answers=made["answers"],
        experiment=w.experiment,
        fold=int(w.fold),
        seed=int(w.seed),
        hardware=made["hardware"],
        out=snakemake.output[0],
    )
