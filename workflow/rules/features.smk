# Slides and spots -> quality -> features/ (and patches/ where a run asks for them). No rule sees expression.
# A new threshold checks slides again and encodes none: quality is `ancient` to what follows.


rule check_slide:
    input:
        image=lambda w: ancient(plan.image_input(w)),
        info="results/slides/{dataset}/{slide}.json",
        spots="results/slides/{dataset}/{slide}.spots.parquet",
    output:
        numbers="results/slides/{dataset}/{slide}.quality.json",
        picture="results/slides/{dataset}/{slide}.quality.jpg",
    log:
        "results/logs/check_slide/{dataset}.{slide}.log",
    benchmark:
        "results/benchmarks/check_slide/{dataset}.{slide}.jsonl"
    conda:
        "../../envs/ingest.yaml"
    resources:
        mem_mb=lambda w, attempt: 2000 * attempt,
        runtime=15,
    params:
        made=plan.quality_params,
        env=plan.environment("ingest"),
    script:
        "../scripts/check_slide.py"


rule extract_patches:
    input:
        image=lambda w: ancient(plan.image_input(w)),
        info="results/slides/{dataset}/{slide}.json",
        spots="results/slides/{dataset}/{slide}.spots.parquet",
        quality=lambda w: ancient(plan.quality_input(w)),
    output:
        directory("results/patches/{dataset}/{view}/{slide}"),
    log:
        "results/logs/extract_patches/{dataset}.{view}.{slide}.log",
    benchmark:
        "results/benchmarks/extract_patches/{dataset}.{view}.{slide}.jsonl"
    conda:
        "../../envs/ingest.yaml"
    threads: plan.config.hardware.workers or 1
    resources:
        workers=plan.config.hardware.workers or 1,
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=30,
    params:
        made=plan.patch_params,
        env=plan.environment("ingest"),
    script:
        "../scripts/extract_patches.py"


rule fetch_weights:
    output:
        "results/weights/{encoder}/{file}",
    log:
        "results/logs/fetch_weights/{encoder}.{file}.log",
    benchmark:
        "results/benchmarks/fetch_weights/{encoder}.{file}.jsonl"
    conda:
        "../../envs/encode.yaml"
    resources:
        mem_mb=2000,
        runtime=240,
        downloads=1,
    params:
        made=plan.fetch_params,
        env=plan.environment("encode"),
    script:
        "../scripts/fetch_weights.py"


rule encode_slide:
    input:
        image=lambda w: ancient(plan.image_input(w)),
        info="results/slides/{dataset}/{slide}.json",
        spots="results/slides/{dataset}/{slide}.spots.parquet",
        quality=lambda w: ancient(plan.quality_input(w)),
        weights=lambda w: plan.watched_weights(w, ancient),
    output:
        directory("results/features/{dataset}/{view}/{encoder}/{slide}"),
    log:
        "results/logs/encode_slide/{dataset}.{view}.{encoder}.{slide}.log",
    benchmark:
        "results/benchmarks/encode_slide/{dataset}.{view}.{encoder}.{slide}.jsonl"
    wildcard_constraints:
        view=one_of(plan.cut_alone()),
    conda:
        "../../envs/encode.yaml"
    threads: plan.encode_threads
    resources:
        gpu=plan.encode_gpus,
        workers=plan.encode_workers,
        mem_mb=lambda w, attempt: 8000 * attempt,
        runtime=120,
    params:
        made=plan.encode_params(),
        env=plan.environment("encode"),
    script:
        "../scripts/encode_slide.py"


# Views that share a name under `cut_with` are made together, so that every tile of the slide is decoded once for all.
for together, views in plan.passes().items():

    rule:
        name:
            f"encode_slide_{together}"
        input:
            image=lambda w: ancient(plan.image_input(w)),
            info="results/slides/{dataset}/{slide}.json",
            spots="results/slides/{dataset}/{slide}.spots.parquet",
            quality=lambda w: ancient(plan.quality_input(w)),
            weights=lambda w: plan.watched_weights(w, ancient),
        output:
            [
                directory(f"results/features/{{dataset}}/{view}/{{encoder}}/{{slide}}")
                for view in views
            ],
        log:
            f"results/logs/encode_slide/{{dataset}}.{together}.{{encoder}}.{{slide}}.log",
        benchmark:
            f"results/benchmarks/encode_slide/{{dataset}}.{together}.{{encoder}}.{{slide}}.jsonl"
        conda:
            "../../envs/encode.yaml"
        threads: plan.encode_threads
        resources:
            gpu=plan.encode_gpus,
            workers=plan.encode_workers,
            mem_mb=lambda w, attempt: 8000 * attempt,
            runtime=120,
        params:
            made=plan.encode_params(views),
            env=plan.environment("encode"),
        script:
            "../scripts/encode_slide.py"
