"""`make bench`: patches per second from the slide, ours beside LazySlide and TRIDENT, at the same places and workers.

Two tasks. ``patches``: uint8 (S, 224, 224, 3) in memory. ``features``: through the transform into an encoder that
computes nothing, which is what keeps a fast GPU waiting. Contenders are processes that take turns; the least time of
some rounds counts, and the spread is the greatest over the least; CPU seconds tell work from waiting on a busy
machine. A peer whose environment or sources are not there is
left out, with the reason.

    BENCH_PEERS   Python of the environment with benchmarks/peers.txt (``make bench`` makes it)
    TRIDENT       folder of TRIDENT's sources (https://github.com/mahmoodlab/TRIDENT), which no package index offers
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import synthetic_slide

ROUNDS = 4  # the first one warms up
WORKERS = 2
SPOTS = 4000
TARGETS = {"patches": 3.0, "features": 4.0}  # ours over the faster peer
GREY_LEVELS = 2.0  # decoders differ in how they enlarge chroma; other places differ by more
HERE = Path(__file__).parent / "peers"
TITLES = {
    "patches": f"slide → uint8 ({SPOTS}, 224, 224, 3) in memory",
    "features": "slide → transform → idle encoder",
}


@dataclass
class Contender:
    """A process that does its work once for every line it is sent."""

    kind: str  # ours, peer or reference
    process: subprocess.Popen[str]
    hello: dict[str, str]
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    made: dict[str, Any] = field(default_factory=dict)

    def turn(self) -> None:
        """Once more."""
        self.process.stdin.write("again\n")
        self.process.stdin.flush()
        line = _line(self.process)
        self.seconds.append(line["seconds"])
        self.cpu.append(line["cpu"])
        self.made = line["made"]

    @property
    def rate(self) -> float:
        return SPOTS / min(self.seconds[1:])

    @property
    def spread(self) -> float:
        return max(self.seconds[1:]) / min(self.seconds[1:])


def main() -> None:
    slide = synthetic_slide.cached()
    with tempfile.TemporaryDirectory() as folder:
        spots = Path(folder) / "spots.npy"
        np.save(spots, synthetic_slide.spots(SPOTS))
        for what in TARGETS:
            compare(what, slide=slide, spots=spots)


def compare(what: str, *, slide: Path, spots: Path) -> None:
    """Run one task and print its table."""
    print(f"\n{TITLES[what]}: patches a second of {SPOTS:,}, {WORKERS} workers")
    contenders = [_start("ours", sys.executable, "run_here.py", [slide, spots, what, WORKERS])]
    contenders += _peers(slide, spots, what)
    if what == "patches":
        for way in ("openslide", "decode"):
            contenders.append(_start("reference", sys.executable, "run_here.py", [slide, spots, way, WORKERS]))
    try:
        for _ in range(ROUNDS):
            for contender in contenders:
                contender.turn()
    finally:
        for contender in contenders:
            contender.process.stdin.close()
            contender.process.wait()
    _check_places(contenders)
    _print(what, contenders)


def _peers(slide: Path, spots: Path, what: str) -> list[Contender]:
    python = Path(os.environ.get("BENCH_PEERS", ".bench-venv/bin/python"))
    if not python.is_file():
        print(f"  LazySlide and TRIDENT left out: no {python}; make bench makes it from benchmarks/peers.txt")
        return []
    given = [slide, spots, what, WORKERS]
    found = [_start("peer", python, "run_lazyslide.py", [*given, reader]) for reader in ("openslide", "fastslide")]
    sources = os.environ.get("TRIDENT", "")
    if not (Path(sources) / "trident" / "__init__.py").is_file():
        print("  TRIDENT left out: give the folder of its sources, make bench TRIDENT=/path/to/TRIDENT")
        return found
    return [*found, _start("peer", python, "run_trident.py", given, PYTHONPATH=str(Path(sources).resolve()))]


def _start(kind: str, python: str | Path, script: str, arguments: list[object], **environment: str) -> Contender:
    process = subprocess.Popen(
        [str(python), str(HERE / script), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if kind == "peer" else None,
        text=True,
        env=os.environ | environment,
    )
    return Contender(kind, process, _line(process))


def _line(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The next line of JSON; what libraries print beside it is passed over."""
    for line in process.stdout:
        if line.startswith("{"):
            return json.loads(line)
    raise RuntimeError(f"{' '.join(process.args)} ended with status {process.wait()}")


def _check_places(contenders: list[Contender]) -> None:
    """All must have made the same patches, but for the decoder's rounding."""
    ours = contenders[0]
    scale = 255 * 0.225 if ours.made["sha256"] is None else 1.0  # a normalised value in grey levels
    for other in contenders:
        if other.hello["name"].startswith("bare decode"):
            continue
        apart = abs(other.made["mean"] - ours.made["mean"]) * scale
        if other.made["shape"] != ours.made["shape"] or apart > GREY_LEVELS:
            raise RuntimeError(f"{other.hello['name']} made {other.made}, ours {ours.made}")


def _print(what: str, contenders: list[Contender]) -> None:
    ours, *others = contenders
    for one in contenders:
        note = f"ours is {ours.rate / one.rate:5.2f} ×" if one is not ours else " " * 14
        same = "" if one.made["sha256"] != ours.made["sha256"] or one is ours or what == "features" else ", same bytes"
        print(
            f"  {one.hello['name']:36} {one.rate:8,.0f}/s   {note}   spread {one.spread:.2f}"
            f"   CPU {min(one.cpu[1:]):5.2f} s   ({one.hello['settings']}{same})"
        )
    peers = [one.rate for one in others if one.kind == "peer"]
    if peers:
        ratio = ours.rate / max(peers)
        verdict = "reached" if ratio >= TARGETS[what] else "MISSED"
        print(f"  {ratio:.2f} × the faster peer; target {TARGETS[what]:g} ×: {verdict}")


if __name__ == "__main__":
    main()
