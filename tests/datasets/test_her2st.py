import json

import numpy as np
import pytest

from stainscript.datasets import base, her2st, legacy_tables

WITH_IMAGE = ["B4", "C2", "C3", "C4"]


@pytest.fixture(scope="module")
def rows(repository):
    return {row["slide"]: row for row in base.read_sheet(repository / "workflow" / "sheets" / "her2st.tsv")}


@pytest.fixture(scope="module")
def summary(shared_golden):
    return json.loads((shared_golden / "classic" / "her2st_files_summary.json").read_text())


def test_the_sheet_lists_the_36_sections_with_their_patients_and_hest_ids(rows, shared_golden):
    assert len(rows) == 36
    assert {row["patient"] for row in rows.values()} == set("ABCDEFGH")
    published = json.loads((shared_golden / "classic" / "folds.json").read_text())["hest_id_to_section_patient_spots"]
    for slide, row in rows.items():
        section, patient, *_ = published[row["hest_id"]]
        assert (section, patient) == (slide, f"Patient {row['patient']}")


def test_sections_without_an_image_are_listed(rows, shared_data):
    root = shared_data / "her2st"
    reasons = {slide: her2st.missing(row, root) for slide, row in rows.items()}
    assert [slide for slide, reason in reasons.items() if reason is None] == WITH_IMAGE
    assert reasons["A1"] == "no image under data/ST-imgs/A/A1"
    assert her2st.files(rows["A1"], root).keys() == {"counts", "selection"}


def test_every_section_equals_the_recorded_summary(summary, shared_data):
    genes: list[set[str]] = []
    n_spots = n_orphans = 0
    for section, expected in summary["sections"].items():
        folder = shared_data / "her2st" / "data"
        adata = legacy_tables.read_counts(folder / "ST-cnts" / f"{section}.tsv.gz")
        spots = legacy_tables.read_selection(folder / "ST-spotfiles" / f"{section}_selection.tsv")
        totals = np.asarray(adata.X.sum(axis=1)).ravel()
        selected, counted = set(spots["spot_id"]), set(adata.obs_names)
        found = {
            "spots": adata.n_obs,
            "genes": adata.n_vars,
            "selection_rows": len(spots),
            "selection_without_counts": sorted(selected - counted),
            "counts_without_selection": sorted(counted - selected),
            "total_min": int(totals.min()),
            "total_median": float(np.median(totals)),
            "max_count": int(adata.X.max()),
        }
        assert found == {key: expected[key] for key in found}, section
        mpp = legacy_tables.selection_mpp(spots, pitch_um=her2st.PITCH_UM)
        assert mpp == pytest.approx(expected["um_per_px"], rel=2e-4), section
        genes.append(set(adata.var_names))
        n_spots += adata.n_obs
        n_orphans += len(selected - counted)
    assert (n_spots, n_orphans) == (13620, 33)
    assert len(set.intersection(*genes)) == summary["genes_intersection"] == 11871
    assert len(set.union(*genes)) == summary["genes_union"] == 18758


def test_the_first_section_of_patient_c_equals_the_parity_case(rows, shared_data, shared_golden):
    row, root = rows["C1"], shared_data / "her2st"
    raw = her2st.read(row, her2st.files(row, root), {})
    with np.load(shared_golden / "classic" / "her2st_C1_expression.npz") as golden:
        counts = raw.adata[golden["spot_ids"].astype(str), golden["genes"].astype(str)].X.toarray()
        np.testing.assert_array_equal(counts, golden["counts"])
        totals = np.asarray(raw.adata[golden["spot_ids"].astype(str)].X.sum(axis=1)).ravel()
        np.testing.assert_array_equal(totals, golden["total_all_genes"].ravel())
        order = raw.spots.set_index("spot_id").loc[golden["spot_ids"].astype(str)]
        np.testing.assert_array_equal(order["grid_col"], golden["x"])
        np.testing.assert_array_equal(order["grid_row"], golden["y"])


def test_the_shift_moves_a6_by_one_pitch_and_nothing_else(rows, shared_data):
    root = shared_data / "her2st"
    for slide, moved in (("A6", True), ("A5", False)):
        row = rows[slide] | {"has_expression": "false"}  # positions alone, for speed
        as_given = her2st.read(row, her2st.files(row, root), {}).spots
        shifted = her2st.read(row, her2st.files(row, root), {"a6_shift": True}).spots
        # one pitch is 1/32 of the width and 1/34 of the height; both are about 218 px
        expected = 218 if moved else 0
        for axis in ("x_px", "y_px"):
            step = as_given[axis] - shifted[axis]
            assert step.to_numpy() == pytest.approx(expected, abs=4)
        assert list(as_given["spot_id"]) == list(shifted["spot_id"])


def test_the_shifted_a6_follows_the_rule_of_the_other_sections(rows, shared_data):
    """pixel_x ≈ (W/32)·(new_x − 1): the fitted line crosses zero at array column 1, as it does on A5."""

    def crossing(slide, options):
        row = rows[slide] | {"has_expression": "false"}
        spots = her2st.read(row, her2st.files(row, shared_data / "her2st"), options).spots
        slope, offset = np.polyfit(spots["grid_col"], spots["x_px"], 1)
        return -offset / slope

    assert crossing("A5", {}) == pytest.approx(1, abs=0.2)
    assert crossing("A6", {}) == pytest.approx(0, abs=0.2)
    assert crossing("A6", {"a6_shift": True}) == pytest.approx(1, abs=0.2)
