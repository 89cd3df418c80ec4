"""Write the self-contained report."""

from stainscript.stages import job_log
from stainscript.stages.write_report import write_report

made, given = snakemake.params.made, snakemake.input
with job_log(snakemake.log[0]):
    write_report(
        title=made["title"],
        tables=dict(zip(made["sets"], given.tables, strict=True)),
        slides=given.slides,
        genes=given.genes,
        maps=given.maps,
        infos=given.infos,
        thumbnails=given.thumbnails,
        experiments=made["experiments"],
        out=snakemake.output[0],
    )
