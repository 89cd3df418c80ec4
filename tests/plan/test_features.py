"""Jobs that see pixels: which views travel together, what a job is told, where weights lie, what comes first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from stainscript.errors import DataContractError
from stainscript.plan.base import leaves
from stainscript.plan.jobs import Plan

PATCH = {"width_px": 224, "mpp": 0.5, "edge": "white"}


@pytest.fixture
def plan(repository: Path) -> Callable[..., Plan]:
    """The repository's config with a change, in the working folder."""

    def make(change: Callable[[dict], object] = lambda c: None) -> Plan:
        raw = yaml.safe_load((repository / "config.yaml").read_text())
        change(raw)
        return Plan(raw, repository=repository)

    return make


def wildcards(**changes: str) -> SimpleNamespace:
    return SimpleNamespace(**{"dataset": "phantom", "view": "patch", "encoder": "morphology", "slide": "P1V"} | changes)


def with_encoder(**entry: object) -> Callable[[dict], None]:
    return lambda config: config["encoders"].update(mine=entry)


def asking(**wanted: list[str]) -> Callable[[dict], None]:
    """Features of the phantom asked for, and no experiment."""
    grid = {"datasets": ["phantom"], "views": ["patch"], "encoders": ["morphology"]} | wanted
    return lambda config: config.update(experiments=[], features=[grid])


# views that travel together


def test_every_view_of_the_default_config_is_cut_alone(plan: Callable[..., Plan]) -> None:
    made = plan()
    assert made.passes() == {}
    assert made.cut_alone() == list(made.config.views)


def test_views_of_one_name_are_one_pass_and_no_longer_cut_alone(plan: Callable[..., Plan]) -> None:
    def change(config: dict) -> None:
        for view, together in (("patch", "near"), ("field", "wide"), ("tile", "near")):
            config["views"][view]["cut_with"] = together

    made = plan(change)
    assert made.passes() == {"near": ["patch", "tile"], "wide": ["field"]}
    assert made.cut_alone() == ["patch_native", "region_native", "hest_patch"]


def test_a_pass_is_told_all_its_views_and_a_single_view_its_own(plan: Callable[..., Plan]) -> None:
    made = plan()
    alone = made.encode_params()(wildcards())
    both = made.encode_params(["patch", "field"])(wildcards(view="ignored"))
    assert list(alone["views"]) == ["patch"]
    assert list(both["views"]) == ["patch", "field"]
    assert alone["views"]["patch"] == both["views"]["patch"]
    assert both["views"]["field"]["mpp"] == 336 / 224
    assert {key: value for key, value in alone.items() if key != "views"} == {
        key: value for key, value in both.items() if key != "views"
    }


def test_what_a_view_is_cut_with_changes_no_params_of_another(plan: Callable[..., Plan]) -> None:
    changed = plan(lambda c: c["views"]["field"].update(cut_with="both"))
    assert changed.encode_params()(wildcards()) == plan().encode_params()(wildcards())


# what a job is told


def test_of_the_raw_folder_jobs_that_see_pixels_are_told_the_image_alone(plan: Callable[..., Plan]) -> None:
    made, w = plan(), wildcards()
    image = made.image_file(w)
    assert image.startswith("results/raw/phantom/P1V/")
    for params in (made.quality_params(w), made.patch_params(w), made.encode_params()(w)):
        raw = [text for text in leaves(params) if isinstance(text, str) and text.startswith("results/")]
        assert raw == [image]


def test_workers_are_no_param_and_threads_are(plan: Callable[..., Plan]) -> None:
    before = plan().encode_params()(wildcards())
    assert plan(lambda c: c["hardware"].update(workers=7)).encode_params()(wildcards()) == before
    assert plan(lambda c: c["hardware"].update(threads=2)).encode_params()(wildcards()) != before


def test_thresholds_belong_to_the_check_alone(plan: Callable[..., Plan]) -> None:
    before, after = plan(), plan(lambda c: c["quality"].update(min_on_tissue=0.25))
    assert before.quality_params(wildcards()) != after.quality_params(wildcards())
    assert before.encode_params()(wildcards()) == after.encode_params()(wildcards())


def test_a_slide_is_checked_first_unless_it_has_no_image(plan: Callable[..., Plan], tmp_path: Path) -> None:
    assert plan().quality_input(wildcards()) == ["results/slides/phantom/P1V.quality.json"]
    for kind, suffix in (("adata", "h5ad"), ("patches", "h5")):
        (tmp_path / "IDC" / kind).mkdir(parents=True)
        (tmp_path / "IDC" / kind / f"TENX99.{suffix}").touch()

    def change(config: dict) -> None:
        asking(datasets=["hest_IDC"], views=["hest_patch"])(config)
        config["datasets"]["hest_IDC"]["root"] = str(tmp_path)

    bench, w = plan(change), wildcards(dataset="hest_IDC", view="hest_patch", slide="TENX99")
    assert bench.quality_input(w) == []
    assert bench.image_file(w) == bench.image_input(w) == str(tmp_path / "IDC/patches/TENX99.h5")
    assert bench.unmeasured == []


@pytest.mark.parametrize(
    ("hardware", "kind", "workers"),
    [
        ({}, "timm:resnet18", 1),
        ({"accelerator": "gpu"}, "timm:resnet18", 4),  # a GPU would wait for one thread
        ({"accelerator": "gpu"}, "morphology", 1),  # which never uses it
        ({"accelerator": "gpu", "workers": 2}, "timm:resnet18", 2),
        ({"accelerator": "cpu", "workers": 9}, "morphology", 9),
    ],
)
def test_threads_that_decode(plan: Callable[..., Plan], hardware: dict, kind: str, workers: int) -> None:
    made = plan(lambda c: (with_encoder(kind=kind)(c), c["hardware"].update(hardware)))
    assert made.encode_workers(wildcards(encoder="mine")) == workers
    assert made.encode_threads(wildcards(encoder="mine")) == max(1, workers)


# which features are made


def test_experiments_ask_for_what_their_methods_need(plan: Callable[..., Plan]) -> None:
    made = plan()
    assert made.encodings() == [
        ("phantom", "patch", "morphology", slide) for slide in ("P1L", "P1V", "P2L", "P2V", "P3L", "P3V", "W1")
    ]
    assert made.features_alone() == made.kept_patches() == []


def test_features_alone_are_every_slide_view_and_encoder(plan: Callable[..., Plan]) -> None:
    made = plan(asking(views=["patch", "tile"], encoders=["morphology", "resnet18_random"]))
    assert len(made.features_alone()) == 7 * 2 * 2
    assert "results/features/phantom/tile/resnet18_random/W1" in made.features_alone()
    assert made.report() == made.tables() == made.metrics() == []


def test_kept_patches_are_one_store_a_view_and_slide_whatever_the_encoders(plan: Callable[..., Plan]) -> None:
    def change(config: dict) -> None:
        asking(views=["patch", "tile"], encoders=["morphology", "resnet18_random"])(config)
        config["keep_patches"] = True

    kept = plan(change).kept_patches()
    assert len(kept) == len(set(kept)) == 7 * 2
    assert "results/patches/phantom/tile/W1" in kept


# weights


def test_weights_of_a_file_and_of_the_folder_that_holds_it(plan: Callable[..., Plan], tmp_path: Path) -> None:
    file = tmp_path / "pytorch_model.bin"
    file.touch()
    for given in (file, tmp_path):
        made = plan(with_encoder(kind="uni", weights=str(given)))
        assert made.weights_input(wildcards(encoder="mine")) == [str(file)]
        assert made.encode_params()(wildcards(encoder="mine"))["encoder"]["weights"] == str(file)


def test_absent_weights_say_where_to_ask_and_where_to_put_them(plan: Callable[..., Plan], tmp_path: Path) -> None:
    used = asking(encoders=["mine"])
    for absent in (tmp_path / "nowhere.bin", tmp_path):  # a path, and a folder without the published file
        entry = with_encoder(kind="uni", weights=str(absent))
        with pytest.raises(DataContractError) as error:
            plan(lambda c, entry=entry: (entry(c), used(c)))
        text = str(error.value)
        for part in ("config.yaml: encoders.mine.weights", f"no file {absent}", "huggingface.co/MahmoodLab/UNI"):
            assert part in text
        assert "pytorch_model.bin; put it anywhere" in text


def test_weights_from_the_hub_are_a_file_that_a_job_fetches(plan: Callable[..., Plan]) -> None:
    made, w = plan(with_encoder(kind="uni", weights="hub", revision="v1", weights_sha256="a" * 64)), wildcards()
    w.encoder = "mine"
    assert made.weights_input(w) == ["results/weights/mine/pytorch_model.bin"]
    assert made.fetch_params(w) == {"kind": "uni", "revision": "v1", "sha256": "a" * 64}


def test_another_revision_of_the_hubs_weights_encodes_again(plan: Callable[..., Plan]) -> None:
    """The weights' file is ``ancient``: that it was fetched anew encodes nothing."""
    params = [
        plan(with_encoder(kind="uni", weights="hub", revision=name)).encode_params()(wildcards(encoder="mine"))
        for name in ("v1", "v2")
    ]
    assert params[0] != params[1]


@pytest.mark.parametrize(("kind", "weights"), [("timm:resnet18", "random"), ("timm:resnet18", None)])
def test_random_weights_are_no_file(plan: Callable[..., Plan], kind: str, weights: str | None) -> None:
    made = plan(with_encoder(kind=kind, weights=weights, seed=3))
    assert made.weights_input(wildcards(encoder="mine")) == []
    encoder = made.encode_params()(wildcards(encoder="mine"))["encoder"]
    assert (encoder["name"], encoder["weights"], encoder["seed"]) == ("mine", weights, 3)
