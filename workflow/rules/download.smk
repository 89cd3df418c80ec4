# Published files -> a dataset's root: `snakemake download --config 'download=[her2st]' 'datasets={her2st: {root: DIR}}'`.
# The declared output is a record (address, size, SHA-256, licence). The data themselves are the user's, outside results/,
# and are no output: Snakemake deletes the outputs of failed and forced jobs, and must not delete these.


localrules:
    download,
    download_file,  # compute nodes seldom reach the internet, and the token is in this shell


rule download:
    input:
        lambda w: plan.download_records(),  # asked for only where this target is


rule download_file:
    output:
        "results/downloads/{dataset}/{file}.json",
    log:
        "results/logs/download_file/{dataset}/{file}.log",
    benchmark:
        "results/benchmarks/download_file/{dataset}/{file}.jsonl"
    wildcard_constraints:
        dataset=one_of(plan.config.download),
        file=".+",
    retries: 0  # the download itself waits and resumes
    conda:
        "../../envs/ingest.yaml"
    resources:
        downloads=1,
        mem_mb=500,
        runtime=720,
    params:
        made=plan.download_params,
    script:
        "../scripts/download_file.py"
