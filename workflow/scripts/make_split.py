"""Write down a split's folds."""

from stainscript.stages import job_log
from stainscript.stages.make_split import make_split

made, w = snakemake.params.made, snakemake.wildcards
with job_log(snakemake.log[0]):
    make_split(
        dataset=w.dataset,
        split=w.split,
        scheme=made["scheme"],
        seed=made["seed"],
        folds=made["folds"],
        out=snakemake.output[0],
    )
