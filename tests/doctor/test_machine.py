"""What the doctor says of the machine."""

from __future__ import annotations

import os
import shutil
from types import SimpleNamespace

from stainscript.doctor import machine


def test_a_disk_with_too_little_room_is_missing_and_says_how_much(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5e9))
    level = {needed: machine.disk(tmp_path, needed_bytes=needed)[0].level for needed in (4e9, 5e9)}
    assert level == {4e9: "ok", 5e9: "missing"}  # a fifth is kept for what the estimate does not see
    assert machine.disk(tmp_path, needed_bytes=5e9)[0].found == "5 GB free, for about 5 GB"


def test_a_results_folder_that_is_not_there_yet_is_judged_by_its_parent(tmp_path):
    assert machine.disk(tmp_path / "results" / "deep", needed_bytes=0)[0].level == "ok"


def test_few_inodes_are_noted(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5e9))
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_favail=7))
    found = machine.disk(tmp_path, needed_bytes=0)[1]
    assert (found.level, found.found) == ("note", "7 left")


def test_a_folder_that_cannot_be_written_is_missing(monkeypatch, tmp_path):
    assert len(machine.disk(tmp_path, needed_bytes=0)) == 2
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = machine.disk(tmp_path / "results", needed_bytes=0)[2]
    assert (found.level, found.subject) == ("missing", str(tmp_path))


def levels(**changes: object) -> list[str]:
    return [f.level for f in machine.gpus(**{"accelerator": "auto", "devices": 1, "wanted": True} | changes)]


def test_a_gpu_that_is_asked_for_and_absent_is_missing(monkeypatch):
    monkeypatch.setattr(machine, "_driver_lists", list)
    assert levels(accelerator="gpu") == ["missing"]
    assert levels() == ["note"]
    assert levels(wanted=False) == ["ok"]
    assert levels(accelerator="cpu") == ["ok"]


def test_the_drivers_list_names_each_gpu(monkeypatch):
    listed = SimpleNamespace(stdout="GPU 0: NVIDIA A100 (UUID: GPU-1)\n  MIG 1g: x\nGPU 1: NVIDIA H100 (UUID: GPU-2)\n")
    monkeypatch.setattr(machine.subprocess, "run", lambda *_, **__: listed)
    found = machine.gpus(accelerator="auto", devices=1, wanted=False)
    assert [f.found for f in found] == ["NVIDIA A100", "NVIDIA H100"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert [f.found for f in machine.gpus(accelerator="auto", devices=1, wanted=False)] == ["NVIDIA H100"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    hidden = machine.gpus(accelerator="gpu", devices=1, wanted=True)
    assert hidden[0].found == "none (CUDA_VISIBLE_DEVICES is set), and hardware.accelerator: gpu asks for one"


def test_more_devices_than_there_are_and_a_torch_without_cuda_are_found(monkeypatch):
    monkeypatch.setattr(machine, "_driver_lists", lambda: ["NVIDIA A100"])
    monkeypatch.setattr(machine, "_torch_build", lambda: "2.9.0+cpu")
    assert levels(devices=2, accelerator="gpu") == ["ok", "missing", "missing"]
    assert levels() == ["ok", "note"]
    assert levels(wanted=False) == levels(accelerator="cpu") == ["ok"]
    monkeypatch.setattr(machine, "_torch_build", lambda: "2.9.0")
    assert levels() == ["ok"]


def test_a_token_is_found_by_variable_and_by_file_and_never_shown(monkeypatch, tmp_path):
    assert not machine.has_token()
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    (tmp_path / "token").write_text("hf_secret")
    assert machine.has_token() is True
    (tmp_path / "token").unlink()
    monkeypatch.setenv("HF_TOKEN", " ")
    assert machine.has_token() is False
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert machine.has_token() is True
