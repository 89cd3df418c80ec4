import dataclasses

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stainscript.artifacts.files import write_parquet
from stainscript.artifacts.stores import open_store, write_store
from stainscript.batches.batch import SpotBatch
from stainscript.batches.dataset import carve_validation, load_slides
from stainscript.errors import DataContractError
from stainscript.genes.normalise import target_matrix
from stainscript.types import Space, Target

TARGET = Target(space=Space.LOG1P_CP10K)


def load(cohort, *names, **changes):
    entries = [{**cohort.files(name), **changes} for name in names]
    return load_slides(slides=entries, gene_ids=cohort.genes[2:10], target=TARGET)


def test_fields_come_from_their_files(cohort):
    batch = load(cohort, "a", "b")
    assert batch.slides == ("a", "b")
    assert batch.patients == ("patient-a", "patient-b")
    assert batch.slide_index.tolist() == [0] * 24 + [1] * 24
    assert batch.spot_id[:8].tolist() == ["0x0", "1x0", "2x0", "3x0", "4x0", "5x0", "0x1", "1x1"]
    np.testing.assert_array_equal(batch.grid[7], [1, 1])  # row, col
    np.testing.assert_array_equal(batch.xy_um[8], [150.0, 125.0])  # x of column 2, y of row 1
    np.testing.assert_array_equal(batch.extent_um[0], [500.0, 400.0])
    np.testing.assert_array_equal(
        batch.target[24:], target_matrix(cohort.counts("b"), gene_ids=cohort.genes[2:10], target=TARGET)
    )
    assert batch.answers is None


def test_encoders_of_a_view_are_concatenated_in_the_given_order(cohort):
    folders = cohort.files("a")["features"]["patch"]
    stored = [open_store(folder, "features")["features"] for folder in folders]
    np.testing.assert_array_equal(load(cohort, "a").features["patch"], np.hstack(stored))
    turned = load(cohort, "a", features={"patch": folders[::-1]})
    np.testing.assert_array_equal(turned.features["patch"], np.hstack(stored[::-1]))


def test_only_the_named_views_and_files_are_read(cohort):
    batch = load(cohort, "a", features={}, expression=None)
    assert batch.features == {}
    assert batch.target is None


def test_half_precision_features_become_float32(cohort):
    spots = load(cohort, "a").spot_id
    cohort.write_features("a", "first", np.ones((24, 3), dtype=np.float16), spots)
    assert load(cohort, "a").features["patch"].dtype == np.float32


def test_shuffled_rows_of_one_feature_store_raise(cohort):
    store = open_store(cohort.folder / "b.second", "features")
    order = np.roll(np.arange(24), 1)
    cohort.write_features("b", "second", store["features"][order], store.ids("spot_id")[order])
    with pytest.raises(DataContractError, match=r"b\.second: spot_id: expected '0x0' at position 0.*in another order"):
        load(cohort, "a", "b")


def test_spots_and_counts_of_different_order_raise(cohort):
    path = cohort.folder / "a.spots.parquet"
    write_parquet(path, pd.read_parquet(path).iloc[::-1].reset_index(drop=True))
    with pytest.raises(DataContractError, match="in another order"):
        load(cohort, "a", features={})


def test_a_feature_that_is_not_finite_names_its_spot(cohort):
    features = np.ones((24, 3), dtype=np.float32)
    features[7, 2] = np.nan
    cohort.write_features("a", "first", features, load(cohort, "a").spot_id)
    with pytest.raises(DataContractError, match=r"a\.first: features: .*nan at spot '1x1', feature 2"):
        load(cohort, "a")


def test_slide_or_patient_that_differ_from_the_sheet_raise(cohort):
    with pytest.raises(DataContractError, match="slide: expected b; found a"):
        load(cohort, "a", slide="b")
    with pytest.raises(DataContractError, match="patient: expected someone; found patient-a"):
        load(cohort, "a", patient="someone")


def test_no_slides_raise():
    with pytest.raises(DataContractError, match="at least one slide"):
        load_slides(slides=[])


def test_spots_file_without_a_column_raises(cohort):
    path = cohort.folder / "a.spots.parquet"
    write_parquet(path, pd.read_parquet(path).drop(columns="x_um"))
    with pytest.raises(DataContractError, match="found no x_um"):
        load(cohort, "a")


def write_grid(cohort, encoder, features, mask):
    """Features (24, K, D) of slide a and their mask, as the encode stage leaves those of a grid view."""
    attrs = {"dataset": "toy", "slide": "a", "view": "region", "encoder": encoder}
    attrs |= {"weights_sha256": None, "transform": "none", "precision": "float32"}
    spot_id = load(cohort, "a", features={}).spot_id
    arrays = {"features": features.astype(np.float32), "mask": mask, "spot_id": spot_id}
    folder = cohort.folder / f"a.{encoder}"
    write_store(folder, "region_features", arrays, attrs)
    return str(folder)


@pytest.fixture
def grid(cohort):
    """Spot n, neighbour k of 9, feature d: 100 n + 10 k + d; neighbour 0 of the first spot lies beyond the slide."""
    n, k, d = np.ogrid[:24, :9, :2]
    mask = np.ones((24, 9), dtype=bool)
    mask[0, 0] = False
    return 100 * n + 10 * k + d, mask


def test_a_view_of_neighbours_keeps_their_axis_and_brings_its_mask(cohort, grid):
    values, mask = grid
    folders = {"patch": cohort.files("a")["features"]["patch"], "region": [write_grid(cohort, "grid", *grid)]}
    batch = load(cohort, "a", features=folders)
    assert (batch.features["patch"].shape, batch.features["region"].shape) == ((24, 5), (24, 9, 2))
    np.testing.assert_array_equal(batch.features["region"], values)
    assert list(batch.masks) == ["region"]  # every spot of a plain view counts
    np.testing.assert_array_equal(batch.masks["region"], mask)
    train, val = carve_validation(batch, fraction=0.25, seed=0)
    for part in (train, val):  # the mask of spot n follows spot n
        first = (part.features["region"][:, 0, 0] == 0).tolist()
        assert (~part.masks["region"][:, 0]).tolist() == first
    assert int((~train.masks["region"]).sum() + (~val.masks["region"]).sum()) == 1


def test_two_encoders_of_a_grid_are_concatenated_neighbour_by_neighbour(cohort, grid):
    values, mask = grid
    folders = [write_grid(cohort, "one", values, mask), write_grid(cohort, "two", values[..., :1] + 0.5, mask)]
    batch = load(cohort, "a", features={"region": folders})
    assert batch.features["region"][3, 4].tolist() == [340, 341, 340.5]
    np.testing.assert_array_equal(batch.masks["region"], mask)


def test_encoders_whose_masks_differ_are_refused(cohort, grid):
    values, mask = grid
    other = mask.copy()
    other[5, 2] = False
    folders = [write_grid(cohort, "one", values, mask), write_grid(cohort, "two", values, other)]
    with pytest.raises(DataContractError, match=r"a\.two: mask: expected that of .*a\.one; found another"):
        load(cohort, "a", features={"region": folders})


@pytest.mark.parametrize("turned", [False, True])
def test_a_grid_and_a_plain_view_are_no_one_view(cohort, grid, turned):
    folders = [write_grid(cohort, "one", *grid), cohort.files("a")["features"]["patch"][0]]
    with pytest.raises(DataContractError, match=r"mask: expected that of"):
        load(cohort, "a", features={"region": folders[::-1] if turned else folders})


def test_a_neighbours_feature_that_is_not_finite_names_the_spot(cohort, grid):
    values = grid[0].astype(float)
    values[7, 3, 1] = np.inf
    folder = write_grid(cohort, "one", values, grid[1])
    with pytest.raises(DataContractError, match=r"a\.one: features: .*inf at spot '1x1', feature 1 \(1 such"):
        load(cohort, "a", features={"region": [folder]})


def write_more_answers(cohort, path):
    """The counts of slide a in reverse order, with three more spots."""
    counts, more = cohort.counts("a")[::-1].copy(), cohort.counts("b")[:3].copy()
    more.obs_names = ["far1", "far2", "far3"]
    anndata.concat([counts, more]).write_h5ad(path)


@pytest.mark.parametrize("smooth", ["none", "grid3x3"])
def test_answers_are_joined_by_id_from_a_larger_file_in_another_order(cohort, tmp_path, smooth):
    """With smoothing: the other file's further spots must not enter the 3×3 mean."""
    write_more_answers(cohort, tmp_path / "expected.h5ad")
    entry = cohort.files("a") | {"answers": tmp_path / "expected.h5ad"}
    target = dataclasses.replace(TARGET, smooth=smooth)
    batch = load_slides(slides=[entry], gene_ids=cohort.genes[2:10], target=target)
    np.testing.assert_array_equal(batch.answers, batch.target)


def test_answers_without_one_of_our_spots_raise(cohort, tmp_path):
    cohort.counts("a")[:-1].copy().write_h5ad(tmp_path / "expected.h5ad")
    with pytest.raises(DataContractError, match=r"a row for '5x3'; found none \(1 of 24 spots are missing\)"):
        load(cohort, "a", answers=tmp_path / "expected.h5ad")


def numbered(*sizes: int) -> SpotBatch:
    count = sum(sizes)
    return SpotBatch(
        slides=tuple(f"s{n}" for n in range(len(sizes))),
        patients=tuple("p" * len(sizes)),
        slide_index=np.repeat(np.arange(len(sizes)), sizes),
        spot_id=np.arange(count).astype(str).astype(object),
        features={},
        xy_um=np.zeros((count, 2)),
        grid=np.zeros((count, 2)),
        extent_um=np.zeros((count, 2)),
    )


@pytest.mark.parametrize(
    ("spots", "fraction", "held"),
    [(100, 0.1, 10), (25, 0.1, 2), (35, 0.1, 4), (3, 0.1, 1), (2, 0.9, 1), (10, 0.99, 9)],
)
def test_number_of_held_out_spots(spots, fraction, held):
    """round(2.5) is 2 and round(3.5) is 4: halves go to even."""
    train, val = carve_validation(numbered(spots), fraction=fraction, seed=0)
    assert (len(train), len(val)) == (spots - held, held)


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(2, 40), min_size=1, max_size=4),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 100),
)
def test_each_spot_is_on_one_side_and_each_slide_on_both(sizes, fraction, seed):
    batch = numbered(*sizes)
    train, val = carve_validation(batch, fraction=fraction, seed=seed)
    assert sorted([*train.spot_id, *val.spot_id], key=int) == batch.spot_id.tolist()
    for part in (train, val):
        assert set(part.slide_index.tolist()) == set(range(len(sizes)))
        assert part.spot_id.tolist() == sorted(part.spot_id, key=int)


def test_carve_of_a_slide_does_not_depend_on_the_other_slides():
    one, two = numbered(30), numbered(30, 20)
    alone = carve_validation(one, fraction=0.2, seed=5)[1].spot_id
    beside = carve_validation(two, fraction=0.2, seed=5)[1]
    assert alone.tolist() == beside.spot_id[beside.slide_index == 0].tolist()
    assert alone.tolist() != carve_validation(one, fraction=0.2, seed=6)[1].spot_id.tolist()


def test_a_carve_that_leaves_nothing_to_train_on_raises():
    with pytest.raises(DataContractError, match="0 and 1 of 1 spots"):
        carve_validation(numbered(1), fraction=0.1, seed=0)


def forget(cohort, slide, *genes):
    """Leave ``genes`` out of the counts of a slide: it does not measure them."""
    path = cohort.files(slide)["expression"]
    adata = anndata.read_h5ad(path)
    adata[:, ~adata.var_names.isin(genes)].copy().write_h5ad(path)


def test_a_gene_that_a_slide_does_not_measure_is_zero_there_and_masked(cohort, caplog):
    before = load(cohort, "a", "b")
    forget(cohort, "b", "ENSG004", "ENSG011")  # one of the panel, one beside it
    with caplog.at_level("INFO"):
        batch = load(cohort, "a", "b")
    assert batch.measured.tolist() == [[True] * 8, [True, True, False, True, True, True, True, True]]
    assert (batch.target[24:, 2] == 0).all()
    np.testing.assert_array_equal(batch.target[:24], before.target[:24])
    assert "b.h5ad does not measure 1 of 8 genes: masked" in caplog.text
    assert "a.h5ad" not in caplog.text


def test_nothing_is_masked_where_every_slide_measures_every_gene(cohort):
    forget(cohort, "b", "ENSG011")
    assert load(cohort, "a", "b").measured is None


def test_smoothing_leaves_an_unmeasured_gene_at_zero(cohort):
    forget(cohort, "b", "ENSG004")
    smooth = dataclasses.replace(TARGET, smooth="grid3x3")
    entries = [cohort.files(name) for name in "ab"]
    batch = load_slides(slides=entries, gene_ids=cohort.genes[2:10], target=smooth)
    assert (batch.target[24:, 2] == 0).all()
    assert not batch.target_mask[24:, 2].any()


def test_a_panel_gene_that_no_slide_measures_raises_and_names_gene_and_panel(cohort):
    for slide in "ab":
        forget(cohort, slide, "ENSG004")
    entries = [cohort.files(name) for name in "ab"]
    call = {"slides": entries, "gene_ids": cohort.genes[2:10], "target": TARGET, "panel": cohort.panel}
    with pytest.raises(DataContractError, match=r"panel\.tsv: gene_id: .*2 training slides.*found ENSG004, which none"):
        load_slides(**call)
    assert not load_slides(**call, each_gene_somewhere=False).target_mask[:, 2].any()


def test_a_slide_that_measures_no_gene_of_the_panel_raises(cohort):
    forget(cohort, "b", *cohort.genes[2:10])
    with pytest.raises(DataContractError, match=r"b\.h5ad: gene_id: expected some of the 8 genes.*gene is ENSG000"):
        load(cohort, "a", "b")


def test_both_sides_of_a_carve_keep_the_masks_of_their_slides(cohort):
    forget(cohort, "b", "ENSG004")
    for part in carve_validation(load(cohort, "a", "b"), fraction=0.25, seed=0):
        assert (part.target_mask[:, 2] == (part.slide_index == 0)).all()
        assert part.target_mask[:, :2].all()


def test_answers_of_a_gene_that_the_slide_does_not_measure_are_zero(cohort):
    forget(cohort, "b", "ENSG004")
    batch = load(cohort, "b", expression=None, answers=cohort.files("b")["expression"])
    assert (batch.answers[:, 2] == 0).all()
    assert batch.measured is None  # answers are for predicting; nothing is learnt from them
