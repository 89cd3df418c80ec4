import numpy as np

from stainscript.evaluation.subsets import best_predicted, highly_predictive, largest, of_labels, of_panel
from stainscript.types import Panel

NAN = float("nan")


def test_heg_and_hvg_follow_what_the_panel_keeps_of_training_slides():
    panel = Panel(
        name="p",
        gene_ids=("a", "b", "c"),
        symbols=("a", "b", "c"),
        mean=(1.0, 3.0, 2.0),
        variance=(9.0, 1.0, 5.0),
        training_slides=("A1",),
    )
    subsets = of_panel(panel, size=2)
    assert {name: positions.tolist() for name, positions in subsets.items()} == {
        "all": [0, 1, 2],
        "heg2": [1, 2],
        "hvg2": [0, 2],
    }


def test_classic_hvg_is_the_variance_of_shares():
    """Gene 0 varies with the spot's level alone: its share is constant; shares of genes 1 and 2 move, 2 less so."""
    labels = np.array([[1.0, 0.6, 0.4], [10.0, 2.0, 8.0]])
    shares = labels / labels.sum(axis=1, keepdims=True)
    assert of_labels([labels], size=3)["heg3"].tolist() == [0, 2, 1]
    assert of_labels([labels], size=3)["hvg3"].tolist() == np.argsort(-shares.var(axis=0)).tolist() != [0, 2, 1]


def test_labels_of_several_slides_are_pooled_by_spot():
    slides = [np.array([[4.0, 1.0]]), np.array([[0.0, 2.0], [0.0, 2.0]])]
    assert of_labels(slides, size=1)["heg1"].tolist() == [1]  # 4/3 < 5/3


def test_a_spot_without_labels_counts_as_zero():
    subsets = of_labels([np.array([[0.0, 0.0], [1.0, 3.0]])], size=1)
    assert subsets["hvg1"].tolist() == [1]


def test_predictive_genes_are_chosen_by_summed_ranks():
    """Ranks 0 2 1 and 0 1 2: gene 0 is worst in both."""
    assert highly_predictive(np.array([[0.1, 0.9, 0.5], [0.1, 0.2, 0.8]]), size=2).tolist() == [1, 2]


def test_an_undefined_gene_ranks_worst_unless_asked_otherwise():
    table = np.array([[0.1, NAN, 0.5], [0.1, 0.3, 0.2]])
    assert highly_predictive(table, size=1).tolist() == [2]  # sums 1, 2, 3
    assert highly_predictive(table, size=1, undefined="best").tolist() == [1]  # sums 0, 4, 2


def test_best_genes_of_a_slide_leave_undefined_ones_out():
    pcc = np.array([0.2, NAN, 0.9, -0.5])
    assert best_predicted(pcc, size=2).tolist() == [2, 0]
    assert best_predicted(pcc, size=10).tolist() == [2, 0, 3]
    assert best_predicted(np.full(3, NAN), size=2).tolist() == []


def test_ties_go_by_position():
    assert largest(np.array([1.0, 2.0, 2.0, 1.0]), 3).tolist() == [1, 2, 0]
