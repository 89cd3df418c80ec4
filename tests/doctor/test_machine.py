"""What the doctor says of the machine."""

from __future__ import annotations

import os
import shutil
from types import SimpleNamespace

import pytest

from stainscript.doctor import machine


@pytest.fixture
def no_token(monkeypatch, tmp_path):
    for name in (*machine.TOKEN_VARIABLES, "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    return tmp_path


def test_a_disk_with_too_little_room_is_missing_and_says_how_much(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5e9))
    level = {needed: machine.disk(tmp_path, needed_bytes=needed)[0].level for needed in (4e9, 5e9)}
    assert level == {4e9: "ok", 5e9: "missing"}  # a fifth is kept for what the estimate does not see
    assert machine.disk(tmp_path, needed_bytes=5e9)[0].found == "5 GB free for about 5.00 GB"


def test_a_results_folder_that_is_not_there_yet_is_judged_by_its_parent(tmp_path):
    assert machine.disk(tmp_path / "results" / "deep", needed_bytes=0)[0].level == "ok"


def test_few_inodes_are_noted(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5e9))
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_favail=7))
    found = machine.disk(tmp_path, needed_bytes=0)[1]
    assert (found.level, found.found) == ("note", "7 left")


def test_a_gpu_that_is_asked_for_and_absent_is_missing(monkeypatch):
    monkeypatch.setattr(machine, "_driver_lists", list)
    assert machine.gpus(accelerator="gpu", wanted=True)[0].level == "missing"
    assert machine.gpus(accelerator="auto", wanted=True)[0].level == "note"
    assert machine.gpus(accelerator="auto", wanted=False)[0].level == "ok"


def test_the_drivers_list_names_each_gpu(monkeypatch):
    listed = SimpleNamespace(stdout="GPU 0: NVIDIA A100 (UUID: GPU-1)\nGPU 1: NVIDIA A100 (UUID: GPU-2)\n")
    monkeypatch.setattr(machine.subprocess, "run", lambda *_, **__: listed)
    assert [f.found for f in machine.gpus(accelerator="auto", wanted=True)] == ["NVIDIA A100", "NVIDIA A100"]


def test_a_token_is_found_by_variable_and_by_file_and_never_shown(no_token, monkeypatch):
    assert not machine.has_token()
    (no_token / "token").write_text("hf_secret")
    assert machine.has_token()
    (no_token / "token").unlink()
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert machine.has_token() is True
