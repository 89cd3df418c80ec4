# Raw slides and counts -> slides/, expression/.


rule draw_phantom:
    output:
        directory("results/raw/{dataset}/{slide}"),
    log:
        "results/logs/draw_phantom/{dataset}.{slide}.log",
    benchmark:
        "results/benchmarks/draw_phantom/{dataset}.{slide}.jsonl"
    conda:
        "../../envs/ingest.yaml"
    resources:
        mem_mb=lambda w, attempt: 2000 * attempt,
        runtime=10,
    params:
        made=plan.raw_params,
        env=plan.environment("ingest"),
    script:
        "../scripts/draw_phantom.py"


rule ingest_slide:
    input:
        raw=lambda w: ancient(plan.raw_inputs(w)),
        gene_table=lambda w: plan.gene_table(w.dataset),
    output:
        info="results/slides/{dataset}/{slide}.json",
        spots="results/slides/{dataset}/{slide}.spots.parquet",
        thumbnail="results/slides/{dataset}/{slide}.thumbnail.jpg",
        expression="results/expression/{dataset}/{slide}.h5ad",
        genes="results/expression/{dataset}/{slide}.genes.json",
    log:
        "results/logs/ingest_slide/{dataset}.{slide}.log",
    benchmark:
        "results/benchmarks/ingest_slide/{dataset}.{slide}.jsonl"
    wildcard_constraints:
        slide=one_of(plan.measured),
    conda:
        "../../envs/ingest.yaml"
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=20,
    params:
        made=plan.ingest_params,
        env=plan.environment("ingest"),
    script:
        "../scripts/ingest_slide.py"


# A slide without expression: its spots are a grid over tissue, and there are no counts to write.
use rule ingest_slide as ingest_image with:
    output:
        info="results/slides/{dataset}/{slide}.json",
        spots="results/slides/{dataset}/{slide}.spots.parquet",
        thumbnail="results/slides/{dataset}/{slide}.thumbnail.jpg",
    log:
        "results/logs/ingest_image/{dataset}.{slide}.log",
    benchmark:
        "results/benchmarks/ingest_image/{dataset}.{slide}.jsonl"
    wildcard_constraints:
        slide=one_of(plan.unmeasured),
