"""Tokens of one training slide."""

from stainscript.stages import job_log
from stainscript.stages.tokenise_slide import tokenise_slide

given, made = dict(snakemake.input.items()), snakemake.params.made
with job_log(snakemake.log[0]):
    tokenise_slide(
        expression=snakemake.input.expression,
        rule=made["rule"],
        statistics=given.get("statistics"),
        panel=given.get("panel"),
        vocabulary=given.get("vocabulary"),
        means=given.get("means"),
        symbols=given.get("symbols"),
        gene_table=next(iter(given.get("gene_table", [])), None),
        species=made["names"]["species"],
        training_slides=made["training_slides"],
        workers=snakemake.threads,
        out=snakemake.output[0],
    )
