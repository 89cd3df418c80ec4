# Everything else that is made of genes: reference statistics, tokens, groups, pathways, descriptions, text embeddings.
# All of it is a fold's own, by its training slides alone. A gene that several folds describe is asked for and paid once.


localrules:
    describe_genes,  # compute nodes seldom reach the internet
    fetch_text_weights,


rule gene_statistics:
    input:
        expression=plan.training_slides,
    output:
        statistics="results/genes/{dataset}/{split}/fold{fold}/statistics.parquet",
        quality="results/genes/{dataset}/{split}/fold{fold}/statistics.json",
    log:
        "results/logs/gene_statistics/{dataset}.{split}.fold{fold}.log",
    benchmark:
        "results/benchmarks/gene_statistics/{dataset}.{split}.fold{fold}.jsonl"
    conda:
        "../../envs/genes.yaml"
    threads: plan.config.hardware.threads
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=120,
        dask=plan.config.hardware.dask or "",
        block_spots=plan.config.statistics.block_spots,
    params:
        made=plan.statistics_params,
        env=plan.environment("genes"),
    script:
        "../scripts/gene_statistics.py"


rule tokenise_slide:
    input:
        unpack(plan.token_references),
        expression=plan.training_slide,
        statistics=plan.statistics_input,
        gene_table=lambda w: plan.gene_table(w.dataset),
    output:
        directory("results/genes/{dataset}/{split}/fold{fold}/{tokens}.tokens/{slide}"),
    log:
        "results/logs/tokenise_slide/{dataset}.{split}.fold{fold}.{tokens}.{slide}.log",
    benchmark:
        "results/benchmarks/tokenise_slide/{dataset}.{split}.fold{fold}.{tokens}.{slide}.jsonl"
    wildcard_constraints:
        tokens=one_of(plan.rank_tokens()),
    conda:
        "../../envs/genes.yaml"
    threads: plan.config.hardware.threads
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=60,
    params:
        made=plan.token_params,
        env=plan.environment("genes"),
    script:
        "../scripts/tokenise_slide.py"


rule tokenise_counts:
    input:
        expression=plan.training_slide,
        panel=plan.panel_input,
    output:
        directory(
            "results/genes/{dataset}/{split}/fold{fold}/{panel}.{protocol}.{tokens}.tokens/{slide}"
        ),
    log:
        "results/logs/tokenise_counts/{dataset}.{split}.fold{fold}.{panel}.{protocol}.{tokens}.{slide}.log",
    benchmark:
        "results/benchmarks/tokenise_counts/{dataset}.{split}.fold{fold}.{panel}.{protocol}.{tokens}.{slide}.jsonl"
    wildcard_constraints:
        tokens=one_of(plan.count_tokens()),
    conda:
        "../../envs/genes.yaml"
    threads: plan.config.hardware.threads
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=60,
    params:
        made=plan.token_params,
        env=plan.environment("genes"),
    script:
        "../scripts/tokenise_slide.py"


rule group_genes:
    input:
        panel=plan.panel_input,
        expression=plan.training_slides,
        gene_sets=plan.group_sets,
        gene_table=lambda w: plan.gene_table(w.dataset),
    output:
        "results/genes/{dataset}/{split}/fold{fold}/{panel}.{protocol}.{groups}.groups.json",
    log:
        "results/logs/group_genes/{dataset}.{split}.fold{fold}.{panel}.{protocol}.{groups}.log",
    benchmark:
        "results/benchmarks/group_genes/{dataset}.{split}.fold{fold}.{panel}.{protocol}.{groups}.jsonl"
    conda:
        "../../envs/genes.yaml"
    resources:
        mem_mb=lambda w, attempt: 4000 * attempt,
        runtime=60,
    params:
        made=plan.group_params,
        env=plan.environment("genes"),
    script:
        "../scripts/group_genes.py"


rule curate_pathways:
    input:
        gene_sets=plan.pathway_sets,
        universe=plan.universe_input,
        panel=plan.panel_input,
        gene_table=lambda w: plan.gene_table(w.dataset),
    output:
        "results/genes/{dataset}/{split}/fold{fold}/{panel}.{protocol}.{pathways}.pathways.json",
    log:
        "results/logs/curate_pathways/{dataset}.{split}.fold{fold}.{panel}.{protocol}.{pathways}.log",
    benchmark:
        "results/benchmarks/curate_pathways/{dataset}.{split}.fold{fold}.{panel}.{protocol}.{pathways}.jsonl"
    conda:
        "../../envs/genes.yaml"
    resources:
        mem_mb=lambda w, attempt: 2000 * attempt,
        runtime=20,
    params:
        made=plan.pathway_params,
        env=plan.environment("genes"),
    script:
        "../scripts/curate_pathways.py"


rule enrich_groups:
    input:
        groups="results/genes/{dataset}/{split}/fold{fold}/{panel}.{protocol}.{groups}.groups.json",
        pathways="results/genes/{dataset}/{split}/fold{fold}/{panel}.{protocol}.{pathways}.pathways.json",
        background=plan.background_input,
    output:
        table="results/genes/{dataset}/{split}/fold{fold}/{panel}.{protocol}.{groups}.{pathways}.enrichment.tsv",
        figure="results/genes/{dataset}/{split}/fold{fold}/{panel}.{protocol}.{groups}.{pathways}.enrichment.svg",
    log:
        "results/logs/enrich_groups/{dataset}.{split}.fold{fold}.{panel}.{protocol}.{groups}.{pathways}.log",
    benchmark:
        "results/benchmarks/enrich_groups/{dataset}.{split}.fold{fold}.{panel}.{protocol}.{groups}.{pathways}.jsonl"
    conda:
        "../../envs/genes.yaml"
    resources:
        mem_mb=lambda w, attempt: 2000 * attempt,
        runtime=20,
    params:
        made=plan.enrichment_params,
        env=plan.environment("genes"),
    script:
        "../scripts/enrich_groups.py"


rule describe_genes:
    input:
        panels=plan.panel_input,
        gene_sets=plan.description_sets,
        gene_table=lambda w: plan.gene_table(w.dataset),
    output:
        "results/gene_text/{dataset}/{split}/fold{fold}/{panel}.{protocol}/{descriptions}/descriptions.jsonl",
    log:
        "results/logs/describe_genes/{dataset}.{split}.fold{fold}.{panel}.{protocol}.{descriptions}.log",
    benchmark:
        "results/benchmarks/describe_genes/{dataset}.{split}.fold{fold}.{panel}.{protocol}.{descriptions}.jsonl"
    conda:
        "../../envs/genes.yaml"
    resources:
        mem_mb=lambda w, attempt: 1000 * attempt,
        runtime=720,
        cache=plan.config.gene_text_cache,
    params:
        made=plan.description_params,
        env=plan.environment("genes"),
    script:
        "../scripts/describe_genes.py"


rule fetch_text_weights:
    output:
        directory("results/text_weights/{text_encoder}"),
    log:
        "results/logs/fetch_text_weights/{text_encoder}.log",
    benchmark:
        "results/benchmarks/fetch_text_weights/{text_encoder}.jsonl"
    wildcard_constraints:
        text_encoder=one_of(plan.config.text_encoders),
    conda:
        "../../envs/text.yaml"
    resources:
        downloads=1,
        mem_mb=2000,
        runtime=240,
    params:
        made=plan.text_fetch_params,
        env=plan.environment("text"),
    script:
        "../scripts/fetch_text_weights.py"


rule embed_genes:
    input:
        descriptions="results/gene_text/{dataset}/{split}/fold{fold}/{panel}.{protocol}/{descriptions}/descriptions.jsonl",
        weights=lambda w: plan.watched_text_weights(w, ancient),
    output:
        directory(
            "results/gene_text/{dataset}/{split}/fold{fold}/{panel}.{protocol}/{descriptions}/{text_encoder}"
        ),
    log:
        "results/logs/embed_genes/{dataset}.{split}.fold{fold}.{panel}.{protocol}.{descriptions}.{text_encoder}.log",
    benchmark:
        "results/benchmarks/embed_genes/{dataset}.{split}.fold{fold}.{panel}.{protocol}.{descriptions}.{text_encoder}.jsonl"
    wildcard_constraints:
        text_encoder=one_of(plan.config.text_encoders),
    conda:
        "../../envs/text.yaml"
    threads: plan.config.hardware.threads
    resources:
        gpu=plan.text_gpus,
        mem_mb=lambda w, attempt: 8000 * attempt,
        runtime=60,
    params:
        made=plan.embedding_params,
        env=plan.environment("text"),
    script:
        "../scripts/embed_genes.py"
