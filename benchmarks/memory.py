"""`make bench`: peak resident memory of the encode stage at 1,000 and at 20,000 spots of the same slide.

Each count is a process of its own that runs the stage itself, on whole 224-px patches, with a network of two layers and
random weights; the peak is what the operating system saw of it. Memory that does not grow with the number of spots is
what the streaming is for.
"""

from __future__ import annotations

import dataclasses
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import synthetic_slide

from stainscript.stages.encode_slide import encode_slide
from stainscript.types import SlideInfo

COUNTS = (1_000, 20_000)
TARGET = 1.2
VIEWS = {"patch": {"name": "patch", "width_px": 224, "mpp": 0.5, "edge": "white"}}
ENCODER = {
    "name": "tiny",
    "kind": "timm:test_vit",
    "weights": None,
    "weights_sha256": None,
    "seed": 0,
    "options": {"img_size": 224, "patch_size": 32, "depth": 2},
    "precision": "float32",
    "store": "float32",
    "batch_size": 64,
    "compile": False,
}


def main() -> None:
    slide = synthetic_slide.cached()
    print(f"\npeak memory of the encode stage, {ENCODER['kind']}, 2 workers")
    peaks = []
    for count in COUNTS:
        child = [sys.executable, __file__, str(slide), str(count)]
        line = json.loads(subprocess.run(child, stdout=subprocess.PIPE, text=True, check=True).stdout)
        peaks.append(line["peak_mb"])
        before, rate = f"{line['before_mb']:,.0f} MB before the stage began", count / line["seconds"]
        print(f"  {count:7,} spots {line['peak_mb']:8,.0f} MB, of which {before} ({rate:,.0f} patches a second)")
    ratio = max(peaks) / min(peaks)
    print(f"  ratio {ratio:.3f}; target at most {TARGET}: {'reached' if ratio <= TARGET else 'MISSED'}")


def run(slide: Path, count: int) -> dict[str, float]:
    """The stage on ``count`` spots: seconds, and the process's peak in MB before and after."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_record(folder, slide=slide, count=count)
        before, started = _peak_mb(), time.perf_counter()
        encode_slide(
            info=folder / "info.json",
            spots=folder / "spots.parquet",
            image=slide,
            views=VIEWS,
            encoder=ENCODER,
            hardware={"accelerator": "cpu", "threads": 2, "workers": 2},
            out={"patch": folder / "features"},
        )
        return {"seconds": time.perf_counter() - started, "before_mb": before, "peak_mb": _peak_mb()}


def _write_record(folder: Path, *, slide: Path, count: int) -> None:
    side = synthetic_slide.SIDE_PX
    record = SlideInfo(
        dataset="benchmark",
        slide="synthetic",
        patient="none",
        width_px=side,
        height_px=side,
        mpp=synthetic_slide.MPP,
        mpp_source="metadata",
        reader="tiff",
        image=slide.name,
        image_sha256="0" * 64,
    )
    (folder / "info.json").write_text(json.dumps(dataclasses.asdict(record)))
    x, y = synthetic_slide.spots(count).astype(float).T
    ids = [f"spot{n}" for n in range(count)]
    pyarrow.parquet.write_table(pa.table({"spot_id": ids, "x_px": x, "y_px": y}), folder / "spots.parquet")


def _peak_mb() -> float:
    """The peak of this program; on Linux from /proc, because ``getrusage`` counts the parent's from before exec."""
    status = Path("/proc/self/status")
    if status.is_file():
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(run(Path(sys.argv[1]), int(sys.argv[2]))))
    else:
        main()
