"""What encoding will cost, by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from stainscript.artifacts.files import write_parquet
from stainscript.doctor import cost
from stainscript.doctor.scales import Scale
from stainscript.encoders.morphology import FEATURE_NAMES
from stainscript.plan import paths
from stainscript.plan.jobs import Plan

SIZES = {"P1V": 24 * 22, "P1L": 20 * 19, "P2V": 25 * 21, "P2L": 19 * 20, "P3V": 26 * 23, "P3L": 400, "W1": 22 * 22}


@pytest.fixture
def estimate(raw, repository):
    """The cost of a run that encodes these slides, and keeps their patches where the config says so."""

    def make(change=lambda _: None, *, left=tuple(SIZES)) -> cost.Cost:
        change(raw)
        plan = Plan(raw, repository=repository)
        outputs = [paths.features("phantom", "patch", "morphology", slide) for slide in left]
        return cost.estimate(plan, scales={}, outputs=[*outputs, *plan.kept_patches()])

    return make


def test_a_drawn_slide_has_at_most_its_places(estimate):
    found = estimate()
    assert found.patches == found.patches_in_all == sum(SIZES.values()) == 3295
    assert (found.slides, found.ingested) == (7, 0)
    assert found.feature_bytes == 3295 * len(FEATURE_NAMES) * 4
    assert (found.gpu_hours, found.networks, found.patch_bytes, found.weight_bytes) == (0, (), 0, 0)


def test_an_ingested_slide_is_counted_and_what_is_not_run_again_costs_nothing(estimate):
    write_parquet(paths.spots("phantom", "P1V"), pd.DataFrame({"spot_id": ["a", "b", "c"]}))
    found = estimate()
    assert (found.patches, found.ingested) == (3295 - SIZES["P1V"] + 3, 1)
    found = estimate(left=["P1V", "P3L"])
    assert (found.patches, found.patches_in_all) == (403, 3295 - SIZES["P1V"] + 3)
    assert found.feature_bytes == 403 * len(FEATURE_NAMES) * 4


def to_uni(config: dict) -> None:
    config["encoders"]["morphology"] = {"kind": "uni", "weights": "hub", "precision": "float16", "store": "float16"}


def test_hours_follow_from_the_cards_operations_and_the_assumed_rates(estimate):
    found = estimate(to_uni)
    operations = 3295 * 123.1e9  # a patch of UNI
    assert found.gpu_hours == pytest.approx(operations / 120e12 / 3600)
    assert found.cpu_hours == pytest.approx(operations / 0.05e12 / 3600)
    assert found.feature_bytes == 3295 * 1024 * 2
    assert found.weight_bytes == 303_350_784 * 4
    (network,) = found.networks
    assert (network.gigaflops, network.teraflops, network.assumed) == (123.1, 120.0, False)


def test_a_grid_of_patches_costs_as_many_images_and_kept_patches_their_pixels(estimate):
    def change(config: dict) -> None:
        config["views"]["patch"] |= {"grid": 3, "width_px": 100}
        config["keep_patches"] = True

    found = estimate(change)
    assert found.patches == 9 * 3295
    assert found.patch_bytes == 9 * 3295 * 100 * 100 * 3
    assert found.bytes == found.feature_bytes + found.patch_bytes


def test_spots_before_ingest_are_those_of_the_capture_area(config, row):
    made = config(
        lambda c: c["datasets"].update(
            own={"sheet": "s.tsv"}, pooled={"sheet": "s.tsv", "options": {"pool_um": None, "bin_um": 16}}
        )
    )
    by_layout = {
        name: cost.assumed_spots(made, row("own", "x", layout=name), None) for name in ("visium", "her2st", "cscc")
    }
    assert by_layout == {"visium": 4992, "her2st": 32**2, "cscc": 43**2}  # 6,500 µm by pitches of 200 and 150
    assert cost.assumed_spots(made, row("pooled", "x", layout="visium_hd"), None) == 406**2


def test_a_slide_without_spots_has_at_most_the_cells_of_its_grid(config, row):
    made = config(lambda c: c["datasets"].update(own={"sheet": "s.tsv", "options": {"pitch_um": 128.0}}))
    scale = Scale(slide="x", mpp=0.5, source="sheet", size_px=(2560, 1000))
    assert cost.assumed_spots(made, row("own", "x", layout="wsi"), scale) == 10 * 3
