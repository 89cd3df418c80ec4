"""Weight files that are right, wrong and hostile."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from stainscript.artifacts.files import file_sha256
from stainscript.encoders.weights import load_strictly, read_weights
from stainscript.errors import DataContractError


class Hostile:
    """Unpickling this would write a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return Path.write_text, (self.target, "executed")


def network() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    return {name: torch.full_like(value, 2) for name, value in network().state_dict().items()}


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth", ".bin", ".ckpt"])
def test_each_format_gives_tensors_and_the_hash(tmp_path, tensors, suffix):
    path = tmp_path / f"w{suffix}"
    save_file(tensors, path) if suffix == ".safetensors" else torch.save(tensors, path)
    found, sha256 = read_weights(path, sha256=file_sha256(path))
    assert sha256 == file_sha256(path)
    assert set(found) == set(tensors)
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


def test_tensors_inside_a_training_checkpoint_are_found(tmp_path, tensors):
    torch.save({"epoch": 3, "state_dict": tensors}, tmp_path / "w.pth")
    assert set(read_weights(tmp_path / "w.pth")[0]) == set(tensors)


def test_a_wrong_checksum_is_refused_before_the_file_is_read(tmp_path):
    (tmp_path / "w.pt").write_bytes(b"anything")
    with pytest.raises(DataContractError) as error:
        read_weights(tmp_path / "w.pt", sha256="0" * 64)
    assert error.value.field == "weights_sha256"
    assert error.value.found == file_sha256(tmp_path / "w.pt")


@pytest.mark.parametrize("zipped", [True, False], ids=["saved by torch", "a bare pickle"])
def test_a_foreign_pickle_is_refused_and_its_code_never_runs(tmp_path, zipped):
    target, path = tmp_path / "proof", tmp_path / "w.pt"
    if zipped:
        torch.save({"weight": Hostile(target)}, path)
    else:
        path.write_bytes(pickle.dumps({"weight": Hostile(target)}))
    with pytest.raises(DataContractError, match=r"w\.pt: .*safetensors"):
        read_weights(path)
    assert not target.exists()
    torch.load(path, weights_only=False) if zipped else pickle.loads(path.read_bytes())
    assert target.read_text() == "executed"  # the trap works: an ordinary load would have sprung it


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"\x80", b"not weights at all", b"PK\x03\x04broken"])
def test_a_damaged_file_is_a_data_error(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataContractError, match=name):
        read_weights(tmp_path / name)


def test_a_truncated_file_is_a_data_error(tmp_path, tensors):
    torch.save(tensors, tmp_path / "w.pt")
    save_file(tensors, tmp_path / "w.safetensors")
    for path in (tmp_path / "w.pt", tmp_path / "w.safetensors"):
        path.write_bytes(path.read_bytes()[:-20])
        with pytest.raises(DataContractError, match=path.name):
            read_weights(path)


@pytest.mark.parametrize("content", [[1, 2], {"a": 3, "b": "text"}, 7])
def test_a_pickle_without_named_tensors_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(DataContractError, match="names to tensors"):
        read_weights(tmp_path / "w.pt")


def test_a_missing_file_and_an_unknown_suffix_are_data_errors(tmp_path):
    with pytest.raises(DataContractError, match="no such file"):
        read_weights(tmp_path / "none.pt")
    (tmp_path / "w.h5").write_bytes(b"x")
    with pytest.raises(DataContractError, match=r"\.safetensors or one of"):
        read_weights(tmp_path / "w.h5")


def test_loading_replaces_every_tensor(tensors):
    model = network()
    load_strictly(model, tensors, path="w.pt")
    assert all(torch.equal(value, tensors[name]) for name, value in model.state_dict().items())


def test_a_wrong_shape_names_the_tensor_and_both_shapes(tensors):
    tensors["0.weight"] = torch.zeros(2, 5)
    with pytest.raises(DataContractError) as error:
        load_strictly(network(), tensors, path="w.pt")
    assert "0.weight (2, 3)" in error.value.expected
    assert "1 of another shape: 0.weight (2, 5)" in error.value.found


def test_missing_and_unexpected_tensors_are_listed(tensors):
    del tensors["1.running_mean"]
    tensors |= {f"extra{n}": torch.zeros(n + 1) for n in range(7)}
    with pytest.raises(DataContractError) as error:
        load_strictly(network(), tensors, path="w.pt")
    assert "1 missing: 1.running_mean (2,)" in error.value.found
    assert "7 unexpected: extra0 (1,), extra1 (2,)" in error.value.found
    assert "and 2 more" in error.value.found


def test_a_refused_file_leaves_the_model_as_it_was(tensors):
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    tensors["0.weight"] = torch.zeros(2, 5)
    with pytest.raises(DataContractError):
        load_strictly(model, tensors, path="w.pt")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_published_classifier_is_left_out_and_nothing_else(tensors):
    load_strictly(network(), tensors | {"head.weight": torch.zeros(9, 2)}, path="w.pt", without=("head",))
    with pytest.raises(DataContractError, match=r"1 unexpected: headless\.weight"):
        load_strictly(network(), tensors | {"headless.weight": torch.zeros(1)}, path="w.pt", without=("head",))


def test_what_is_left_out_is_named_in_the_log(tensors, caplog):
    extra = {"text.a": torch.zeros(1), "text.b": torch.zeros(1), "scale": torch.zeros(())}
    with caplog.at_level("INFO"):
        load_strictly(network(), tensors | extra, path="w.pt", without=("text", "scale", "absent"))
    assert "left out of w.pt: text (2 tensors), scale (1 tensors)" in caplog.text


def test_names_are_changed_before_they_are_compared(tensors):
    hidden = {f"model.net.{name}": value for name, value in tensors.items()}
    model = network()
    load_strictly(model, hidden, path="w.pt", rename=lambda name: name.removeprefix("model.net."))
    assert all(torch.equal(value, tensors[name]) for name, value in model.state_dict().items())
    with pytest.raises(DataContractError, match=r"missing: 0\.weight"):
        load_strictly(network(), hidden, path="w.pt")


def test_half_precision_files_fill_a_model_without_memory_in_full_precision(tensors):
    halves = {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}
    with torch.device("meta"):
        model = network()
    load_strictly(model, halves, path="w.pt", assign=True)
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    assert model(torch.ones(4, 3)).shape == (4, 2)
