"""A gene that some training slides do not measure is fitted as if only the others existed."""

import dataclasses

import numpy as np
import pytest

from stainscript import methods, seeds
from stainscript.batches.batch import SpotBatch
from stainscript.errors import DataContractError
from stainscript.methods.base import FitData
from stainscript.methods.nearest.search import candidates_of_slides, nearest_rows
from stainscript.training.run import RunContext

# slides a, b, c × 12 genes
MEASURED = np.ones((3, 12), dtype=bool)
MEASURED[0, [0, 1, 2]] = MEASURED[1, [2, 3, 4, 5]] = MEASURED[2, [5, 6]] = False

# closed-form methods, with options under which nothing but the targets ties a slide to the others
ALONE = [
    ("mean", {}),
    ("nearest", {"standardise": "slide"}),
    ("nearest", {"standardise": "slide", "neighbours": 7, "metric": "cosine"}),
    ("coordinates", {}),
    ("coordinates", {"basis": "rbf", "bumps": 4}),
    ("ridge", {"standardise": "slide", "select": "fixed", "alpha": 5.0}),
    ("ridge", {"standardise": "slide", "select": "fixed", "alpha": 5.0, "centre": "train"}),
    ("hest_probe", {"dimreduce": "none", "honour_alpha": True, "alpha": 3.0}),
]


def everything(toy) -> SpotBatch:
    """Training and validation spots, with targets that would ruin every fit where they are not measured."""
    spots = dataclasses.replace(toy.data.everything, measured=MEASURED)
    return dataclasses.replace(spots, target=np.where(spots.target_mask, spots.target, np.float32(1e4)))


def predicted_by(name, options, toy, spots) -> np.ndarray:
    cfg, method = methods.configure(name, options), methods.load(name)
    run = RunContext(name="toy", seed=0, accelerator="cpu")
    state = method.fit(cfg, toy.spec, FitData(train=spots), run)
    return method.predict(cfg, toy.spec, state, toy.test, seeds.generator(0))


@pytest.mark.parametrize(("name", "options"), ALONE)
def test_each_gene_is_predicted_as_by_a_fit_to_the_slides_that_measure_it(name, options, toy):
    spots = everything(toy)
    found = predicted_by(name, options, toy, spots)
    for slides in np.unique(MEASURED, axis=1).T:
        genes = (slides[:, None] == MEASURED).all(axis=0)
        own = dataclasses.replace(spots.take(np.flatnonzero(slides[spots.slide_index])), measured=None)
        expected = predicted_by(name, options, toy, own)[:, genes]
        np.testing.assert_allclose(found[:, genes], expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("select", ["loo", "slides"])
def test_ridge_chooses_its_penalty_on_the_largest_set_of_genes_of_the_same_slides(select, toy):
    """Genes 7 to 11 are measured everywhere: 5 · 90 values, more than any other pattern has."""
    spots, fine = everything(toy), tuple(np.linspace(0.01, 3, 300).tolist())
    cfg, method = methods.configure("ridge", {"select": select, "alphas": fine}), methods.load("ridge")
    run = RunContext(name="toy", seed=0, accelerator="cpu")
    alone = dataclasses.replace(spots, measured=None, target=spots.target[:, 7:])
    found, expected = (method.fit(cfg, toy.spec, FitData(train=s), run).facts["alpha"] for s in (spots, alone))
    assert found == expected
    others = dataclasses.replace(toy.data.everything, target=toy.data.everything.target[:, :7])
    assert method.fit(cfg, toy.spec, FitData(train=others), run).facts["alpha"] != expected


def test_shuffled_values_are_measured_ones_and_uniform_over_the_spots_that_measure_the_gene(toy):
    """Gene 2 is of slide c alone (30 spots): 6,000 draws give each of its values about 200 times."""
    spots = everything(toy)
    cfg, method = methods.configure("shuffled", {}), methods.load("shuffled")
    state = method.fit(cfg, toy.spec, FitData(train=spots), None)
    many = toy.test.take(np.arange(6000) % 30)
    found = method.predict(cfg, toy.spec, state, many, seeds.generator(0, "draws"))
    for gene in range(12):
        known = spots.target[spots.target_mask[:, gene], gene]
        assert np.isin(found[:, gene], known).all()
    values, number = np.unique(found[:, 2], return_counts=True)
    assert len(values) == 30
    assert (number > 150).all()
    assert (number < 250).all()


def test_shuffled_keeps_a_profile_together_where_the_drawn_spot_measures_it(toy):
    """Genes 7 to 11 are measured everywhere: together they are rows of training targets."""
    spots = everything(toy)
    cfg, method = methods.configure("shuffled", {}), methods.load("shuffled")
    state = method.fit(cfg, toy.spec, FitData(train=spots), None)
    known = {row.tobytes() for row in spots.target[:, 7:]}
    found = method.predict(cfg, toy.spec, state, toy.test, seeds.generator(0))[:, 7:]
    assert all(np.ascontiguousarray(row).tobytes() in known for row in found)


def test_nearest_names_the_gene_that_too_few_spots_measure(toy):
    with pytest.raises(DataContractError, match=r"at most the 30 training spots that measure ENSG00002; found 31"):
        predicted_by("nearest", {"neighbours": 31}, toy, everything(toy))
    predicted_by("nearest", {"neighbours": 30}, toy, everything(toy))


def test_candidates_of_all_slides_are_the_nearest_of_all_rows():
    """A slide with fewer rows than neighbours gives all it has."""
    rng = seeds.generator(0, "candidates")
    values, reference = rng.normal(size=(7, 3)), rng.normal(size=(20, 3))
    slide_index = np.repeat([0, 1, 2], [2, 9, 9])
    candidates = candidates_of_slides(values, reference, slide_index=slide_index, count=4)
    assert candidates.rows.shape == (7, 2 + 4 + 4)
    for slides in ([1, 1, 1], [0, 1, 1], [1, 0, 1], [0, 0, 1]):
        allowed = np.flatnonzero(np.array(slides, dtype=bool)[slide_index])
        expected = allowed[nearest_rows(values, reference[allowed], count=4)]
        np.testing.assert_array_equal(candidates.among(np.array(slides, dtype=bool), count=4), expected)
