"""What the phantom's genes follow: the patch, its surroundings, or nothing that can be seen."""

from __future__ import annotations

import numpy as np
import pytest

from stainscript import seeds
from stainscript.datasets import phantom_counts as counts
from stainscript.datasets.phantom_tissue import grow_tissue

PATIENTS = ("P1", "P2", "P3")


def correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of each column of (S, G) arrays."""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    return (a * b).sum(axis=0) / np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))


def log_normalised(values: np.ndarray) -> np.ndarray:
    return np.log1p(1e4 * values / values.sum(axis=1, keepdims=True))


@pytest.fixture(scope="module")
def genes() -> counts.Genes:
    return counts.draw_genes(0, n_genes=None)


@pytest.fixture(scope="module")
def slides(genes) -> list[dict]:
    """Six slides of three patients without pictures: activities, expected counts, counts."""
    lattice_um = np.stack(np.meshgrid(np.arange(20), np.arange(20)), axis=-1).reshape(-1, 2) * 110.0 + 170
    made = []
    for patient in PATIENTS:
        for platform in ("visium", "legacy_st"):
            rng = seeds.generator(5, patient, platform)
            tissue, under = grow_tissue(rng, width_um=2440.0, height_um=2440.0, lattice_um=lattice_um, covered=0.8)
            xy_um = lattice_um[under]
            own = counts.patch_activities(tissue, xy_um)
            own_matrix = np.stack([own[name] for name in counts.OWN], axis=1)
            around = counts.around_activities(tissue, xy_um, own=own_matrix)
            expected = counts.expected_counts(
                rng, genes=genes, tissue=tissue, xy_um=xy_um, patient=patient, platform=platform, seed=0
            )
            made.append(
                {
                    "patient": patient,
                    "tissue": tissue,
                    "xy_um": xy_um,
                    "own": own_matrix,
                    "around": np.stack(list(around.values()), axis=1),
                    "expected": expected,
                    "counts": counts.draw_counts(rng, expected, dispersion=genes.dispersion),
                }
            )
    return made


def held_out_correlation(slides: list[dict], inputs: tuple[str, ...]) -> np.ndarray:
    """(slides, G): least squares on the other patients' slides, scored on each slide of the one held out."""

    def design(slide: dict) -> np.ndarray:
        return np.column_stack([np.ones(len(slide["own"])), *(slide[name] for name in inputs)])

    found = []
    for patient in PATIENTS:
        train = [s for s in slides if s["patient"] != patient]
        weights = np.linalg.lstsq(
            np.concatenate([design(s) for s in train]),
            np.concatenate([log_normalised(s["counts"]) for s in train]),
            rcond=None,
        )[0]
        test = [s for s in slides if s["patient"] == patient]
        found += [correlation(design(s) @ weights, log_normalised(s["counts"])) for s in test]
    return np.array(found)


def test_each_kind_of_gene_is_learned_from_exactly_what_shows_it(slides, genes):
    from_patch = held_out_correlation(slides, ("own",)).mean(axis=0)
    from_region = held_out_correlation(slides, ("own", "around")).mean(axis=0)
    patch, region, nowhere = (genes.kind == kind for kind in ("patch", "region", "nowhere"))
    assert from_patch[patch].mean() > 0.3
    assert np.sort(from_patch[patch])[-50:].mean() > 0.5
    assert abs(from_patch[region].mean()) < 0.1
    assert from_region[region].mean() > 0.4
    for found in (from_patch, from_region):
        assert abs(found[nowhere].mean()) < 0.05


def test_the_ceiling_of_unseen_genes_is_as_high_as_that_of_others(slides, genes):
    ceiling = np.mean([correlation(log_normalised(s["expected"]), log_normalised(s["counts"])) for s in slides], axis=0)
    for kind in ("patch", "region", "nowhere"):
        assert 0.6 < ceiling[genes.kind == kind].mean() < 0.9


def test_unseen_genes_are_spatially_structured(slides, genes):
    """Neighbours on the same slide tell them: a split that leaks spots would be seen."""
    slide = slides[0]
    distance_um = np.linalg.norm(slide["xy_um"][:, None] - slide["xy_um"][None], axis=2)
    near = (distance_um < 160) & (distance_um > 0)
    around = near @ log_normalised(slide["counts"]) / np.maximum(near.sum(axis=1, keepdims=True), 1)
    found = correlation(around, log_normalised(slide["counts"]))
    assert found[genes.kind == "nowhere"].mean() > 0.25


def test_unseen_activity_is_orthogonal_to_composition_and_coordinates(slides):
    slide = slides[1]
    seen = np.concatenate([slide["own"], slide["around"]], axis=1)
    unseen = counts.unseen_activities(seeds.generator(9), slide["tissue"], slide["xy_um"], seen=seen)
    for field in unseen.values():
        for known in (*seen.T, *slide["xy_um"].T):
            assert abs(correlation(field, known)) < 1e-6
        assert field.std() == pytest.approx(1)


def test_activity_of_the_surroundings_is_orthogonal_to_the_own_patch(slides):
    for slide in slides:
        for field in slide["around"].T:
            assert abs(correlation(field, slide["own"][:, 0] ** 2)) < 1e-6
            assert all(abs(correlation(field, own)) < 1e-6 for own in slide["own"].T)


def test_surroundings_are_an_annulus_that_leaves_the_own_patch_out():
    """One immune spot: its place lies inside nobody's ring at a distance below 75 or above 300 µm."""
    shape = (150, 150)
    immune = np.zeros(shape, dtype=np.float32)
    immune[75, 75] = 1  # centre at (604, 604) µm
    blank = np.zeros(shape, dtype=np.float32)
    tissue = counts.Tissue(
        width_um=1200.0,
        height_um=1200.0,
        outline=np.ones(shape, dtype=np.float32),
        shares={"immune": immune, "tumour": blank, "necrosis": blank, "stroma": 1 - immune, "fat": blank},
        grade=blank,
        fibre_um=blank,
    )
    distance_um = np.array([0.0, 40.0, 120.0, 250.0, 340.0, 500.0])
    xy_um = np.stack([604 + distance_um, np.full(6, 604.0)], axis=1)
    found = counts.around_activities(tissue, xy_um, own=np.zeros((6, 1)))["immune_around"]
    assert (found[[2, 3]] > 0).all()
    assert (found[[0, 1, 4, 5]] < 0).all()


def test_library_size_does_not_tell_what_the_patch_holds(slides):
    depth = np.concatenate(
        [np.log(s["expected"].sum(axis=1)) - np.log(s["expected"].sum(axis=1)).mean() for s in slides]
    )
    own = np.concatenate([s["own"] - s["own"].mean(axis=0) for s in slides])
    assert np.abs(correlation(own, depth[:, None])).max() < 0.1


def test_counts_have_the_moments_of_a_negative_binomial():
    expected = np.full((60_000, 2), (10.0, 4.0))
    drawn = counts.draw_counts(seeds.generator(0), expected, dispersion=np.array([0.2, 0.5]))
    assert drawn.dtype == np.int32
    assert drawn.mean(axis=0) == pytest.approx([10, 4], rel=0.02)
    assert drawn.var(axis=0) == pytest.approx([10 + 0.2 * 100, 4 + 0.5 * 16], rel=0.05)


def test_a_smaller_table_keeps_each_genes_constants(genes):
    few = counts.draw_genes(0, n_genes=60)
    where = [genes.symbols.index(symbol) for symbol in few.symbols]
    assert np.array_equal(few.abundance, genes.abundance[where])
    assert np.array_equal(few.hidden, genes.hidden[where])
    assert genes.abundance.sum() == pytest.approx(1)
