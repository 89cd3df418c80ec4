"""Embed the descriptions of genes."""

from stainscript.stages import job_log
from stainscript.stages.embed_genes import embed_genes

made = snakemake.params.made
with job_log(snakemake.log[0]):
    embed_genes(
        descriptions=snakemake.input.descriptions,
        encoder=made["encoder"],
        hardware=made["hardware"],
        out=snakemake.output[0],
    )
