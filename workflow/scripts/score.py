"""Score one fold's predictions against its test slides' expression."""

from stainscript.stages import job_log
from stainscript.stages.score import score

made, given, w, out = snakemake.params.made, snakemake.input, snakemake.wildcards, snakemake.output
with job_log(snakemake.log[0]):
    score(
        predictions=given.predictions,
        expression=given.expression,
        panel=given.panel,
        cohort=given.cohort,
        target=made["target"],
        subsets=made["subsets"],
        experiment=w.experiment,
        dataset=made["dataset"],
        fold=int(w.fold),
        seed=int(w.seed),
        map_genes=made["map_genes"],
        slides_out=out.slides,
        genes_out=out.genes,
        maps_out=out.maps,
    )
