"""The phantom's expression: what drives each spot's genes, the expected counts, and the counts drawn from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, signal

from stainscript import seeds
from stainscript.datasets.phantom_genes import PROGRAMMES, choose_symbols, programme_of
from stainscript.datasets.phantom_tissue import GRID_UM, REGIONS, Tissue, sample_field, smooth_noise

PATCH_UM = 112.0  # what counts as the spot's own patch: the default view
OWN = ("tumour", "immune", "necrosis", "fat", "proliferating")  # spans the patch activities: shares sum to the tissue
AROUND_UM = (75.0, 300.0)  # what counts as its surroundings: inner and outer radius
UNSEEN_SCALE_UM = 450.0  # the unseen fields are smooth, so that they look like biology
DEPTH_SCALE_UM = 600.0
HIDDEN_FIELDS = 8  # unseen part of the patch genes: no real gene follows the picture alone
EFFECT = {"patch": 1.9, "region": 0.70, "nowhere": 0.70}  # log-fold per unit of activity (region, nowhere: per SD)
HIDDEN_EFFECT = 0.70
PATIENT_EFFECT = 0.25
PLATFORM_EFFECT = 0.20
DEPTH = {"visium": 9000.0, "legacy_st": 6000.0}  # median counts of a spot over the full gene table


@dataclass(frozen=True, kw_only=True)
class Genes:
    """Constants of the genes, the same on every slide; every array is (G,) or (G, HIDDEN_FIELDS)."""

    symbols: tuple[str, ...]
    programme: tuple[str, ...]
    kind: np.ndarray
    abundance: np.ndarray  # share of a spot's counts before any effect; sums to 1 over the full table
    effect: np.ndarray
    dispersion: np.ndarray  # NB2: variance = mean + dispersion · mean²
    hidden: np.ndarray


def draw_genes(seed: int, *, n_genes: int | None) -> Genes:
    """Constants of ``n_genes`` genes (``None``: all). A smaller table keeps the values of the larger one."""
    rng = seeds.generator(seed, "phantom", "genes")
    table = programme_of()
    kind = np.array([kind for _, kind in table.values()])
    raw = np.exp(rng.normal(0, 0.9, size=len(table)))
    effect = np.array([EFFECT[k] for k in kind]) * rng.uniform(0.7, 1.3, size=len(table))
    dispersion = np.exp(rng.normal(np.log(0.15), 0.5, size=len(table)))
    hidden = rng.normal(0, HIDDEN_EFFECT / np.sqrt(HIDDEN_FIELDS), size=(len(table), HIDDEN_FIELDS))
    hidden *= (kind == "patch")[:, None]
    chosen = set(choose_symbols(n_genes))
    keep = np.array([symbol in chosen for symbol in table])
    return Genes(
        symbols=tuple(symbol for symbol in table if symbol in chosen),
        programme=tuple(name for symbol, (name, _) in table.items() if symbol in chosen),
        kind=kind[keep],
        abundance=(raw / raw.sum())[keep],
        effect=effect[keep],
        dispersion=dispersion[keep],
        hidden=hidden[keep],
    )


def patch_activities(tissue: Tissue, xy_um: np.ndarray) -> dict[str, np.ndarray]:
    """Region shares and what follows from them in each spot's own patch, name → (S,), all between 0 and 1."""
    width = round(PATCH_UM / GRID_UM)

    def mean_in_patch(field: np.ndarray) -> np.ndarray:
        return sample_field(ndimage.uniform_filter(field, width, mode="nearest"), xy_um).astype(np.float64)

    found = {region: mean_in_patch(tissue.shares[region]) for region in REGIONS}
    found["proliferating"] = mean_in_patch(tissue.shares["tumour"] * tissue.grade)
    found["cells"] = 0.6 * found["tumour"] + found["immune"] + 0.2 * found["stroma"]
    return found


def around_activities(tissue: Tissue, xy_um: np.ndarray, *, own: np.ndarray) -> dict[str, np.ndarray]:
    """Excess of a region in the ring around each spot over what the own patch foretells; mean 0, variance 1.

    own: (S, P) activities of the own patch. Their linear and quadratic part is taken out slide by slide, so that no
    smooth function of the patch's composition helps with these genes.
    """
    reach = int(AROUND_UM[1] / GRID_UM)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1] * GRID_UM
    ring = ((np.hypot(x, y) >= AROUND_UM[0]) & (np.hypot(x, y) <= AROUND_UM[1])).astype(np.float64)

    def mean_in_ring(field: np.ndarray) -> np.ndarray:
        return sample_field(np.maximum(signal.fftconvolve(field, ring, mode="same"), 0), xy_um)

    tissue_there = mean_in_ring(tissue.outline)
    known = _quadratic(own)
    return {
        f"{region}_around": _standard(_without(mean_in_ring(tissue.shares[region]) / tissue_there, known))
        for region in ("immune", "tumour", "necrosis")
    }


def unseen_activities(
    rng: np.random.Generator, tissue: Tissue, xy_um: np.ndarray, *, seen: np.ndarray
) -> dict[str, np.ndarray]:
    """Smooth random fields that are orthogonal, over this slide's spots, to ``seen`` (S, P) and to the coordinates.

    Independence alone would leave chance correlations of 0.2 and more on a single slide, since a smooth field has
    few degrees of freedom; taking them out makes a small correlation on a patient held out a sure sign of a leak.
    """
    known = np.concatenate([seen, _quadratic(xy_um - xy_um.mean(axis=0))], axis=1)
    fields = (smooth_noise(rng, shape=tissue.outline.shape, scale_um=UNSEEN_SCALE_UM) for _ in range(3))
    return {f"unseen_{i}": _standard(_without(sample_field(f, xy_um), known)) for i, f in enumerate(fields, start=1)}


def expected_counts(
    rng: np.random.Generator, *, genes: Genes, tissue: Tissue, xy_um: np.ndarray, patient: str, platform: str, seed: int
) -> np.ndarray:
    """Mean count of each spot and gene, (S, G) float64; xy_um: (S, 2) spot centres, x, y.

    Each spot's depth is spread over the genes. Depth is log-normal with a smooth part and has nothing to do with the
    image, and the shares of region and nowhere genes do not react to the others': both would otherwise tell, through
    the library size, what is meant to be unseen. Patch genes make up the rest of the depth.
    """

    def unseen(scale_um: float) -> np.ndarray:
        return sample_field(smooth_noise(rng, shape=tissue.outline.shape, scale_um=scale_um), xy_um)

    own = patch_activities(tissue, xy_um)
    own_matrix = np.stack([own[name] for name in OWN], axis=1)
    around = around_activities(tissue, xy_um, own=own_matrix)
    seen = np.concatenate([_quadratic(own_matrix), np.stack(list(around.values()), axis=1)], axis=1)
    activities = own | around | unseen_activities(rng, tissue, xy_um, seen=seen)
    hidden = np.stack([unseen(UNSEEN_SCALE_UM) for _ in range(HIDDEN_FIELDS)], axis=1)
    log_fold = genes.effect * _per_gene(activities, genes) + hidden @ genes.hidden.T
    log_fold += _batch(seed, genes, "patient", patient, PATIENT_EFFECT)
    log_fold += _batch(seed, genes, "platform", platform, PLATFORM_EFFECT)
    # Rounded, so that the last bits of a linear-algebra library and its threads cannot reach the files.
    share = genes.abundance * np.exp(np.round(log_fold, 6))
    patch = genes.kind == "patch"
    share[:, ~patch] /= np.exp(0.5 * genes.effect**2)[~patch]  # so that the mean over spots is the abundance
    rest = genes.abundance.sum() - share[:, ~patch].sum(axis=1, keepdims=True)
    rest = np.maximum(rest, 0.2 * genes.abundance.sum())
    share[:, patch] *= rest / share[:, patch].sum(axis=1, keepdims=True)
    smooth_depth = np.round(_standard(_without(unseen(DEPTH_SCALE_UM), seen)), 6)
    log_depth = 0.20 * smooth_depth + rng.normal(0, 0.25, size=len(xy_um)) + rng.normal(0, 0.15)
    return DEPTH[platform] * np.exp(log_depth)[:, None] * share


def draw_counts(rng: np.random.Generator, expected: np.ndarray, *, dispersion: np.ndarray) -> np.ndarray:
    """Negative binomial counts, (S, G) int32, with mean ``expected`` and variance mean + dispersion · mean²."""
    rate = rng.gamma(1 / dispersion, dispersion, size=expected.shape) * expected
    return rng.poisson(rate).astype(np.int32)


def _per_gene(activities: dict[str, np.ndarray], genes: Genes) -> np.ndarray:
    """(S, G): the activity of each gene's programme."""
    of = {
        name: sum(weight * activities[driver] for driver, weight in programme.drivers.items())
        for name, programme in PROGRAMMES.items()
    }
    return np.stack([of[name] for name in genes.programme], axis=1)


def _batch(seed: int, genes: Genes, what: str, name: str, spread: float) -> np.ndarray:
    """Log-scale offsets (G,) of a patient or platform, the same on all its slides and for any size of gene table."""
    table = list(programme_of())
    drawn = seeds.generator(seed, "phantom", what, name).normal(0, spread, size=len(table))
    return drawn[np.isin(table, genes.symbols)]


def _quadratic(values: np.ndarray) -> np.ndarray:
    """Columns, their squares and products: (S, P) → (S, P + P(P + 1) / 2)."""
    first, second = np.triu_indices(values.shape[1])
    return np.concatenate([values, values[:, first] * values[:, second]], axis=1)


def _without(target: np.ndarray, known: np.ndarray) -> np.ndarray:
    """What of ``target`` (S,) no linear function of ``known`` (S, P) and a constant explains."""
    design = np.column_stack([np.ones(len(known)), _standard(known)])
    return target - design @ np.linalg.lstsq(design, target, rcond=1e-6)[0]


def _standard(values: np.ndarray) -> np.ndarray:
    spread = values.std(axis=0)
    return (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1)
