# The entry: `snakemake --cores all --use-conda`. The workflow itself is in workflow/.
from snakemake.utils import min_version

min_version("9.27")


include: "workflow/Snakefile"


localrules:
    all,


rule all:
    default_target: True
    input:
        rules.everything.input,
