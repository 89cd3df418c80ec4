# Splits, and gene panels chosen on each fold's training slides.


rule make_split:
    output:
        "results/splits/{dataset}/{split}.json",
    log:
        "results/logs/make_split/{dataset}.{split}.log",
    benchmark:
        "results/benchmarks/make_split/{dataset}.{split}.jsonl"
    conda:
        "../../envs/train.yaml"
    resources:
        mem_mb=500,
        runtime=5,
    params:
        made=plan.split_params,
        env=plan.environment("train"),
    script:
        "../scripts/make_split.py"


rule select_panel:
    input:
        expression=plan.panel_inputs,
        vocabulary=plan.panel_vocabulary,
        gene_table=lambda w: plan.gene_table(w.dataset),
    output:
        "results/genes/{dataset}/{split}/fold{fold}/{panel}.{protocol}.tsv",
    log:
        "results/logs/select_panel/{dataset}.{split}.fold{fold}.{panel}.{protocol}.log",
    benchmark:
        "results/benchmarks/select_panel/{dataset}.{split}.fold{fold}.{panel}.{protocol}.jsonl"
    conda:
        "../../envs/genes.yaml"
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=20,
    params:
        made=plan.panel_params,
        env=plan.environment("genes"),
    script:
        "../scripts/select_panel.py"
