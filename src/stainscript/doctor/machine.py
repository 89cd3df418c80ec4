"""The machine: disk, inodes, GPUs, and the hub's token (whether there is one, never what it is)."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from stainscript.doctor.findings import Finding, size

ROOM = 1.2  # free room asked for, over the estimate: a fifth is kept for what it does not see
FEW_INODES = 100_000
TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def disk(folder: str | Path, *, needed_bytes: float) -> list[Finding]:
    """Free room and inodes where results will be, against what the run is expected to write, and leave to write."""
    here = _existing(Path(folder))
    free = shutil.disk_usage(here).free
    inodes = os.statvfs(here).f_favail
    room = f"{size(free)} free" + (f", for about {size(needed_bytes)}" if needed_bytes else "")
    enough = free > ROOM * needed_bytes
    found = [
        Finding(
            level="ok" if enough else "missing",
            subject=f"disk of {folder}",
            found=room,
            remedy="" if enough else "free room, or run in a folder of another disk (snakemake --directory)",
        )
    ]
    if inodes and inodes < FEW_INODES:
        remedy = "remove small files; a store is a handful of files, but conda environments hold many"
        found.append(Finding(level="note", subject="inodes", found=f"{inodes:,} left", remedy=remedy))
    else:
        found.append(Finding(level="ok", subject="inodes", found=f"{inodes:,} left" if inodes else "not counted here"))
    if not os.access(here, os.W_OK | os.X_OK):
        remedy = "change its permissions, or run in another folder (snakemake --directory)"
        found.append(Finding(level="missing", subject=str(here), found="cannot be written", remedy=remedy))
    return found


def gpus(*, accelerator: str, devices: int, wanted: bool) -> list[Finding]:
    """GPUs that a job would see, against ``hardware`` and whether any job would use one."""
    names = _visible(_driver_lists())
    remedy = "set hardware.accelerator: auto or cpu, or run where a GPU is"
    if not names and accelerator == "gpu":
        found = f"none{_hidden()}, and hardware.accelerator: gpu asks for one"
        return [Finding(level="missing", subject="GPU", found=found, remedy=remedy)]
    if not names:
        slow = "everything runs on the CPU; published encoders and networks are many times slower there"
        level = "note" if wanted and accelerator != "cpu" else "ok"
        return [Finding(level=level, subject="GPU", found=f"none{_hidden()}", remedy=slow if level == "note" else "")]
    found = [Finding(level="ok", subject=f"GPU {n}", found=name) for n, name in enumerate(names)]
    if devices > len(names):
        few = f"{len(names)}, and hardware.devices asks for {devices}"
        found.append(Finding(level="missing", subject="GPUs", found=few, remedy="lower hardware.devices"))
    if wanted and accelerator != "cpu" and (build := _torch_build()).endswith("+cpu"):
        remedy = "install torch's CUDA build in the environment that runs the jobs"
        level = "missing" if accelerator == "gpu" else "note"
        found.append(Finding(level=level, subject="torch", found=f"{build} here uses no GPU", remedy=remedy))
    return found


def has_token() -> bool:
    """Whether the hub's client would find a token of the user's: a variable, or the file that its login writes."""
    if any(os.environ.get(name, "").strip() for name in TOKEN_VARIABLES):
        return True
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = Path(os.environ.get("HF_HOME") or cache / "huggingface").expanduser()
    path = Path(os.environ.get("HF_TOKEN_PATH") or home / "token")
    return path.is_file() and path.stat().st_size > 0


def _driver_lists() -> list[str]:
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return []
    return [line.split(":", 1)[1].split("(")[0].strip() for line in done.stdout.splitlines() if line.startswith("GPU ")]


def _visible(names: list[str]) -> list[str]:
    """Those that ``CUDA_VISIBLE_DEVICES`` leaves; entries that are no numbers (UUIDs) are taken for any of them."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return names
    wanted = [entry.strip() for entry in chosen.split(",") if entry.strip() not in ("", "-1")]
    numbered = [names[int(entry)] for entry in wanted if entry.isdigit() and int(entry) < len(names)]
    return numbered if all(entry.isdigit() for entry in wanted) else names[: len(wanted)]


def _hidden() -> str:
    return " (CUDA_VISIBLE_DEVICES is set)" if "CUDA_VISIBLE_DEVICES" in os.environ else ""


def _torch_build() -> str:
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:  # it lives in the jobs' own environments
        return ""


def _existing(folder: Path) -> Path:
    folder = folder.resolve()
    return folder if folder.exists() else _existing(folder.parent)
