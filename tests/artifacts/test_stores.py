"""A store appears complete or not at all, and its manifest says what it holds."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stainscript.artifacts import stores
from stainscript.errors import DataContractError

ATTRS = {
    "dataset": "d",
    "slide": "A1",
    "view": "patch",
    "encoder": "e",
    "weights_sha256": "none",
    "transform": "none",
    "precision": "float32",
}


def arrays(spots: int = 5, width: int = 3) -> dict[str, np.ndarray]:
    values = np.arange(spots * width, dtype=np.float32).reshape(spots, width)
    return {"features": values, "spot_id": np.array([f"{n}x1" for n in range(spots)], dtype=object)}


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    stores.write_store(tmp_path / "A1", "features", arrays(), ATTRS)
    store = stores.open_store(tmp_path / "A1", "features")
    np.testing.assert_array_equal(store["features"], arrays()["features"])
    assert list(store.ids("spot_id")) == ["0x1", "1x1", "2x1", "3x1", "4x1"]
    assert store.attrs["slide"] == "A1"


@settings(max_examples=15, deadline=None)
@given(spots=st.integers(1, 700), width=st.integers(1, 4))
def test_any_size_survives_the_round_trip(spots: int, width: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("store") / "A1"
    stores.write_store(folder, "features", arrays(spots, width), ATTRS)
    np.testing.assert_array_equal(stores.open_store(folder, "features")["features"], arrays(spots, width)["features"])


def test_equal_content_gives_equal_bytes_in_few_files(tmp_path: Path) -> None:
    for name in ("one", "two"):
        stores.write_store(tmp_path / name, "features", arrays(5000, 8), ATTRS)
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file())
    assert [(tmp_path / "one" / f).read_bytes() for f in files] == [(tmp_path / "two" / f).read_bytes() for f in files]
    assert len(files) <= 10


def test_reading_warns_of_nothing(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stores.write_store(tmp_path / "A1", "features", arrays(), ATTRS)
        assert stores.open_store(tmp_path / "A1", "features").ids("spot_id")[0] == "0x1"


def test_spot_ids_of_another_length_are_refused(tmp_path: Path) -> None:
    bad = arrays() | {"spot_id": np.array(["a", "b"], dtype=object)}
    with pytest.raises(DataContractError, match=r"spot_id\.spot: expected 5, as features has; found 2"):
        stores.write_store(tmp_path / "A1", "features", bad, ATTRS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["encoder", "weights_sha256"])
def test_a_missing_attribute_is_named(missing: str, tmp_path: Path) -> None:
    attrs = {key: value for key, value in ATTRS.items() if key != missing}
    with pytest.raises(DataContractError, match=missing):
        stores.write_store(tmp_path / "A1", "features", arrays(), attrs)


def test_a_wrong_dtype_is_refused(tmp_path: Path) -> None:
    bad = arrays() | {"features": np.zeros((5, 3), dtype=np.float64)}
    with pytest.raises(DataContractError, match="float16 or float32"):
        stores.write_store(tmp_path / "A1", "features", bad, ATTRS)


def test_changed_content_is_found_by_its_digest(tmp_path: Path) -> None:
    import zarr

    stores.write_store(tmp_path / "A1", "features", arrays(), ATTRS)
    zarr.open_group(tmp_path / "A1" / "features.zarr", mode="r+")["features"][0, 0] = 7
    with pytest.raises(DataContractError, match="content digest"):
        _ = stores.open_store(tmp_path / "A1", "features")["features"]


def test_a_store_of_another_kind_is_refused(tmp_path: Path) -> None:
    stores.write_store(tmp_path / "A1", "features", arrays(), ATTRS)
    with pytest.raises(DataContractError, match="kind: expected patches; found features"):
        stores.open_store(tmp_path / "A1", "patches")


def test_a_manifest_that_disagrees_is_refused(tmp_path: Path) -> None:
    stores.write_store(tmp_path / "A1", "features", arrays(), ATTRS)
    path = tmp_path / "A1" / stores.MANIFEST
    manifest = json.loads(path.read_text())
    manifest["arrays"]["features"]["shape"] = [4, 3]
    path.write_text(json.dumps(manifest))
    with pytest.raises(DataContractError, match=r"\[4, 3\] float32 \(manifest\)"):
        stores.open_store(tmp_path / "A1", "features")


def test_a_killed_writer_leaves_nothing_under_the_name_and_the_next_clears_up(tmp_path: Path) -> None:
    code = (
        "import os, signal\nfrom stainscript.artifacts.files import complete_folder\n"
        f"with complete_folder({str(tmp_path / 'A1')!r}) as folder:\n"
        "    (folder / 'half').write_text('x')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "A1").exists()
    assert len(list(tmp_path.iterdir())) == 1
    stores.write_store(tmp_path / "A1", "features", arrays(), ATTRS)
    assert [path.name for path in tmp_path.iterdir()] == ["A1"]
