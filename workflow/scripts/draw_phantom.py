"""Draw one phantom slide's raw files."""

from stainscript.stages import job_log
from stainscript.stages.draw_phantom import draw_phantom

with job_log(snakemake.log[0]):
    draw_phantom(slide=snakemake.wildcards.slide, options=snakemake.params.made["options"], out=snakemake.output[0])
