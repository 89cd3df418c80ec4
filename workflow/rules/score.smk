# Predictions and the test slides' expression -> metrics/ -> tables/, report.html.


rule score:
    input:
        predictions=lambda w: plan.score_files(w)["predictions"],
        expression=lambda w: plan.score_files(w)["expression"],
        panel=lambda w: plan.score_files(w)["panel"],
        cohort=lambda w: plan.score_files(w)["cohort"],
    output:
        slides="results/metrics/{experiment}/fold{fold}/seed{seed}/slides.parquet",
        genes="results/metrics/{experiment}/fold{fold}/seed{seed}/genes.parquet",
        maps="results/metrics/{experiment}/fold{fold}/seed{seed}/maps.parquet",
    log:
        "results/logs/score/{experiment}.fold{fold}.seed{seed}.log",
    benchmark:
        "results/benchmarks/score/{experiment}.fold{fold}.seed{seed}.jsonl"
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=20,
    params:
        made=plan.score_params,
        env=plan.environment("train"),
    script:
        "../scripts/score.py"


rule enrich_programmes:
    input:
        unpack(plan.programme_inputs),
    output:
        "results/metrics/{experiment}/fold{fold}/seed{seed}/{pathways}.programmes.tsv",
    log:
        "results/logs/enrich_programmes/{experiment}.fold{fold}.seed{seed}.{pathways}.log",
    benchmark:
        "results/benchmarks/enrich_programmes/{experiment}.fold{fold}.seed{seed}.{pathways}.jsonl"
    conda:
        "../../envs/genes.yaml"
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=60,
    params:
        made=plan.programme_params,
        env=plan.environment("genes"),
    script:
        "../scripts/enrich_programmes.py"


rule tabulate:
    input:
        slides=lambda w: plan.metrics(chosen=w.chosen),
        genes=lambda w: plan.metrics(chosen=w.chosen, kind="genes"),
    output:
        tsv="results/tables/{chosen}/leaderboard.tsv",
        md="results/tables/{chosen}/leaderboard.md",
        tex="results/tables/{chosen}/leaderboard.tex",
    log:
        "results/logs/tabulate/{chosen}.log",
    benchmark:
        "results/benchmarks/tabulate/{chosen}.jsonl"
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=lambda w, attempt: 2000 * attempt,
        runtime=20,
    params:
        made=plan.table_params,
        env=plan.environment("report"),
    script:
        "../scripts/tabulate.py"


rule tabulate_hest_bench:
    input:
        genes=lambda w: plan.metrics(chosen=w.chosen, kind="genes"),
    output:
        tsv="results/tables/{chosen}/hest_bench.tsv",
        md="results/tables/{chosen}/hest_bench.md",
        tasks_tsv="results/tables/{chosen}/hest_bench_tasks.tsv",
    log:
        "results/logs/tabulate_hest_bench/{chosen}.log",
    benchmark:
        "results/benchmarks/tabulate_hest_bench/{chosen}.jsonl"
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=lambda w, attempt: 2000 * attempt,
        runtime=20,
    params:
        made=plan.hest_table_params,
        env=plan.environment("report"),
    script:
        "../scripts/tabulate_hest_bench.py"


rule write_report:
    input:
        **plan.report_files(),
    output:
        report("results/report.html", caption="../report/report.rst", category="Results"),
    log:
        "results/logs/write_report/report.log",
    benchmark:
        "results/benchmarks/write_report/report.jsonl"
    conda:
        "../../envs/report.yaml"
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=20,
    params:
        made=plan.report_params(),
        env=plan.environment("report"),
    script:
        "../scripts/write_report.py"
