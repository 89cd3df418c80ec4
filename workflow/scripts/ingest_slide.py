"""Read one raw slide: its image, its spots and, where it has them, its counts."""

from stainscript.stages import job_log
from stainscript.stages.ingest_slide import Naming, ingest_slide

made, out = snakemake.params.made, snakemake.output
with job_log(snakemake.log[0]):
    ingest_slide(
        dataset=made["dataset"],
        row=made["row"],
        files=made["files"],
        options=made["options"],
        info=out.info,
        spots=out.spots,
        thumbnail=out.thumbnail,
        expression=out.get("expression"),
        genes=out.get("genes"),
        naming=Naming(**made["naming"], gene_table=next(iter(snakemake.input.gene_table), None)),
    )
