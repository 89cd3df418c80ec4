# Published tables that the gene side reads -> references/, where the config names no copy of yours.


localrules:
    fetch_reference,  # compute nodes seldom reach the internet


rule fetch_reference:
    output:
        table="results/references/{reference}/{file}",
        record="results/references/{reference}/{file}.json",
    log:
        "results/logs/fetch_reference/{reference}.{file}.log",
    benchmark:
        "results/benchmarks/fetch_reference/{reference}.{file}.jsonl"
    wildcard_constraints:
        reference=one_of(plan.config.references),
        file=r"[^/]+(?<!\.json)",
    retries: 0  # the download itself waits and resumes
    conda:
        "../../envs/genes.yaml"
    resources:
        downloads=1,
        mem_mb=2000,
        runtime=60,
    params:
        made=plan.reference_params,
    script:
        "../scripts/fetch_reference.py"
