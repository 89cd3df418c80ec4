# One fit per experiment, fold and seed; predictions per test slide. `predict` never sees the slide's expression.


rule fit:
    input:
        plan.fit_inputs,
    output:
        checkpoint="results/runs/{experiment}/fold{fold}/seed{seed}/checkpoint.safetensors",
        history="results/runs/{experiment}/fold{fold}/seed{seed}/history.csv",
        record="results/runs/{experiment}/fold{fold}/seed{seed}/run.json",
    log:
        "results/logs/fit/{experiment}.fold{fold}.seed{seed}.log",
    benchmark:
        "results/benchmarks/fit/{experiment}.fold{fold}.seed{seed}.jsonl"
    conda:
        "../../envs/train.yaml"
    threads: plan.config.hardware.threads
    resources:
        gpu=plan.fit_gpus,
        mem_mb=lambda w, attempt: 8000 * attempt,
        runtime=240,
        save_every_s=plan.config.hardware.save_every_s,
    params:
        made=plan.fit_params,
        env=plan.environment("train"),
    script:
        "../scripts/fit.py"


rule predict:
    input:
        plan.predict_inputs,
    output:
        directory("results/predictions/{experiment}/fold{fold}/seed{seed}/{slide}"),
    log:
        "results/logs/predict/{experiment}.fold{fold}.seed{seed}.{slide}.log",
    benchmark:
        "results/benchmarks/predict/{experiment}.fold{fold}.seed{seed}.{slide}.jsonl"
    wildcard_constraints:
        experiment=one_of(plan.honest),
    conda:
        "../../envs/train.yaml"
    threads: plan.config.hardware.threads
    resources:
        gpu=plan.fit_gpus,
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=30,
    params:
        made=plan.predict_params,
        env=plan.environment("train"),
    script:
        "../scripts/predict.py"


# The oracle and the ceiling are made of the answers: they bracket a table and are no methods.
use rule predict as predict_control with:
    input:
        plan.predict_inputs,
        answers=lambda w: ancient(plan.answers_input(w)),
    log:
        "results/logs/predict_control/{experiment}.fold{fold}.seed{seed}.{slide}.log",
    benchmark:
        "results/benchmarks/predict_control/{experiment}.fold{fold}.seed{seed}.{slide}.jsonl"
    wildcard_constraints:
        experiment=one_of(plan.controls),
