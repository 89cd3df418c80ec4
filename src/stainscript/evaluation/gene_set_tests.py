"""Pathways in programmes of predicted genes, and among the genes that are predicted well: by gseapy, offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from stainscript import seeds
from stainscript.evaluation.programmes import INT32, frame_of, programme_name
from stainscript.genes.pathways.enrichment import adjusted


def enriched(labels: np.ndarray, genes: Sequence[str], pathways: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Pathways in each programme: a row for every two that share a gene, best first, by ``gseapy.enrich``.

    labels: (G,), of ``programmes``; genes: (G,) names, each once, the background; pathways: name → genes, of which only
    those in ``genes`` count. ``score`` is the odds ratio (0.5 added to each cell). gseapy corrects over the terms that
    share a gene with the list alone, which flatters; here Benjamini and Hochberg's correction is over all programmes
    and pathways tested.
    """
    import gseapy

    code, name = _coded(genes)
    coded = {term: [code[gene] for gene in members if gene in code] for term, members in pathways.items()}
    coded = {term: members for term, members in coded.items() if members}
    rows: list[dict[str, object]] = []
    for label in range(1, labels.max() + 1):
        members = [code[genes[n]] for n in np.flatnonzero(labels == label)]
        if not any(set(members) & set(term) for term in coded.values()):
            continue
        result = gseapy.enrich(members, gene_sets=coded, background=list(code.values()), outdir=None, no_plot=True)
        result.close()
        for _, row in result.results.iterrows():
            overlap = sorted(name[gene] for gene in row["Genes"].split(";"))
            rows.append(
                {
                    "analysis": "enrichment",
                    "programme": programme_name(label),
                    "term": row["Term"],
                    "programme_size": len(members),
                    "term_size": len(set(coded[row["Term"]])),
                    "overlap_size": len(overlap),
                    "genes": ",".join(overlap),
                    "score": row["Odds Ratio"],
                    "score_name": "odds ratio",
                    "p_value": row["P-value"],
                }
            )
    frame = frame_of(rows)
    tested = int(labels.max()) * len(coded)
    p_value = np.concatenate([frame["p_value"].to_numpy(dtype=np.float64), np.ones(tested - len(frame))])
    frame["adjusted_p_value"] = adjusted(p_value, correction="fdr_bh")[: len(frame)]
    return frame.sort_values(["programme", "p_value", "term"], kind="stable", ignore_index=True)


def well_predicted(
    pcc: Mapping[str, float],
    pathways: Mapping[str, Sequence[str]],
    *,
    min_size: int = 5,
    max_size: int = 500,
    permutations: int = 1000,
    weight: float = 1.0,
    seed: int = 0,
    threads: int = 1,
) -> pd.DataFrame:
    """Pathways at the top (score > 0) or bottom of the genes ranked by PCC, best first, by ``gseapy.prerank``.

    pcc: gene → its correlation, undefined ones left out; genes of one value stand in order of name. Pathways of
    ``min_size`` to ``max_size`` ranked genes are tested; ``score`` is the normalised enrichment score, ``genes`` the
    leading edge, ``adjusted_p_value`` gseapy's FDR. A p-value of 0 means: less than 1 / ``permutations``.
    """
    import gseapy

    order = sorted((gene for gene, value in pcc.items() if np.isfinite(value)), key=lambda gene: (-pcc[gene], gene))
    code, name = _coded(order)
    coded = {term: [code[gene] for gene in members if gene in code] for term, members in pathways.items()}
    coded = {t: m for t, m in coded.items() if min_size <= len(set(m)) <= max_size and len(set(m)) < len(order)}
    if not coded:
        return frame_of([])
    result = gseapy.prerank(
        pd.DataFrame({"gene": list(code.values()), "pcc": [float(pcc[gene]) for gene in order]}),
        gene_sets=coded,
        outdir=None,
        no_plot=True,
        min_size=min_size,
        max_size=max_size,
        permutation_num=permutations,
        weight=weight,
        ascending=None,  # already in order, and ties must stay in theirs
        threads=threads,
        seed=seeds.stream_seed(seed, "programmes", "prerank") % INT32,
    )
    rows = []
    for _, row in result.res2d.iterrows():
        edge = [name[gene] for gene in str(row["Lead_genes"]).split(";") if gene]
        rows.append(
            {
                "analysis": "ranking",
                "term": row["Term"],
                "term_size": len(set(coded[row["Term"]])),
                "overlap_size": len(edge),
                "genes": ",".join(edge),
                "score": row["NES"],
                "score_name": "normalised enrichment score",
                "p_value": row["NOM p-val"],
                "adjusted_p_value": row["FDR q-val"],
            }
        )
    return frame_of(rows).sort_values(["score", "term"], ascending=[False, True], kind="stable", ignore_index=True)


def _coded(genes: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Gene → a neutral name, and back: gseapy turns case, and takes names that are numbers for Entrez ids."""
    code = {gene: f"G{n:06d}" for n, gene in enumerate(genes)}
    return code, {neutral: gene for gene, neutral in code.items()}
