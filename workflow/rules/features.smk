# Slides and spots -> patches/ -> features/. Neither rule sees expression.


rule extract_patches:
    input:
        image=lambda w: ancient(plan.image_input(w)),
        info="results/slides/{dataset}/{slide}.json",
        spots="results/slides/{dataset}/{slide}.spots.parquet",
    output:
        (directory if plan.config.keep_patches else lambda path: temp(directory(path)))(
            "results/patches/{dataset}/{view}/{slide}"
        ),
    log:
        "results/logs/extract_patches/{dataset}.{view}.{slide}.log",
    benchmark:
        "results/benchmarks/extract_patches/{dataset}.{view}.{slide}.jsonl"
    conda:
        "../../envs/ingest.yaml"
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=30,
    params:
        made=plan.patch_params,
        env=plan.environment("ingest"),
    script:
        "../scripts/extract_patches.py"


rule encode_patches:
    input:
        patches="results/patches/{dataset}/{view}/{slide}",
        weights=lambda w: ancient(plan.weights_input(w)),
    output:
        directory("results/features/{dataset}/{view}/{encoder}/{slide}"),
    log:
        "results/logs/encode_patches/{dataset}.{view}.{encoder}.{slide}.log",
    benchmark:
        "results/benchmarks/encode_patches/{dataset}.{view}.{encoder}.{slide}.jsonl"
    conda:
        "../../envs/encode.yaml"
    threads: plan.config.hardware.threads
    resources:
        gpu=plan.encode_gpus,
        mem_mb=lambda w, attempt: 8000 * attempt,
        runtime=60,
    params:
        made=plan.encode_params,
        env=plan.environment("encode"),
    script:
        "../scripts/encode_patches.py"
