"""`make bench`: rank tokens a second, beside a loop over spots that gives the same tokens, in one process.

Two loops: the plain one takes each spot as a row of the sparse matrix (``rank_tokens_by_spot``), the lean one slices
the matrix's arrays itself. They take turns with ours on the same spots; the least time of some rounds counts.

    python benchmarks/tokenise.py [slides of 10,000 spots]
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import simulated_counts
from scipy import sparse

from stainscript.genes.backed import blocks, read_head
from stainscript.genes.tokens.rank import RankTokeniser, gene_weights, rank_tokens_by_spot
from stainscript.genes.tokens.rules import PRESETS, RankRule, rule_dict
from stainscript.genes.tokens.slide import RankReference, rank_reference, rank_slide
from stainscript.stages.gene_statistics import gene_statistics
from stainscript.stages.tokenise_slide import tokenise_slide

ROUNDS = 8
AT_ONCE = 3
SAMPLE_SPOTS = 1000  # what the loops are given
FAST_SPOTS = 10_000  # what ours is given beside them: a slide
BLOCK_SPOTS = 2048  # read and ranked at a time over whole slides
WORKERS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
TARGET = 20.0
HVG = {"n": 1, "flavours": (), "space": "counts", "batches": "slide"}


def measure_tokenise(slides: list[Path], statistics: Path) -> dict[str, Any]:
    """Both presets over all ``slides``, read from disk a block at a time; and side by side with the loops.

    statistics: Parquet of ``gene_statistics``. Times are seconds; ``us`` values are microseconds a spot; tokens are
    made and dropped, not stored.
    """
    result: dict[str, Any] = {"workers": WORKERS}
    for name, preset in PRESETS.items():
        rule = RankRule(**{**_options(preset), "vocab": "build", "aliases": False})
        files = {"vocabulary": None, "symbols": None, "means": None, "statistics": statistics}
        reference = rank_reference(rule, **files, names=None, workers=WORKERS)
        result[name] = _whole(slides, reference) | _side_by_side(slides[0], reference)
    return result | {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _options(rule: RankRule) -> dict[str, Any]:
    return {key: value for key, value in rule_dict(rule).items() if key != "kind"}


def _whole(slides: list[Path], reference: RankReference) -> dict[str, Any]:
    spots = entries = tokens = 0
    reading = ranking = 0.0
    for path in slides:
        made = rank_slide(read_head(path), reference)
        started = time.perf_counter()
        for _, counts in blocks(path, spots=BLOCK_SPOTS):
            read = time.perf_counter()
            tokens += int(np.count_nonzero(made.tokens(counts)[:, -1]))
            done = time.perf_counter()
            reading, ranking, started = reading + read - started, ranking + done - read, done
            spots, entries = spots + counts.shape[0], entries + counts.nnz
    return {
        "spots": spots,
        "genes_a_spot": entries / spots,
        "full_spots": tokens,
        "reading_us": reading / spots * 1e6,
        "ranking_us": ranking / spots * 1e6,
    }


def _side_by_side(path: Path, reference: RankReference) -> dict[str, Any]:
    rule = reference.rule
    _, counts = next(blocks(path, spots=FAST_SPOTS))
    weights = gene_weights(reference.means, rounding=rule.mean_rounding)
    options = {"length": rule.length, "id_offset": rule.id_offset, "keep_zeros": rule.keep_explicit_zeros}
    one, several = (RankTokeniser(weights, **options, workers=workers) for workers in (1, WORKERS))
    sample = counts[:SAMPLE_SPOTS]
    expected = rank_tokens_by_spot(sample, weights, **options)
    for made in (one.tokens(counts), several.tokens(counts), _lean_loop(sample, weights, **options)):
        if not np.array_equal(made[: len(expected)], expected):
            raise SystemExit("the tokens differ from those of the plain loop")
    ways: dict[str, tuple[Callable[[], object], int]] = {
        "plain_loop_us": (lambda: rank_tokens_by_spot(sample, weights, **options), sample.shape[0]),
        "lean_loop_us": (lambda: _lean_loop(sample, weights, **options), sample.shape[0]),
        "one_thread_us": (lambda: one.tokens(counts), counts.shape[0]),
        "threads_us": (lambda: several.tokens(counts), counts.shape[0]),
    }
    least = dict.fromkeys(ways, np.inf)
    for _ in range(ROUNDS):
        for name, (work, spots) in ways.items():
            for _ in range(AT_ONCE):  # the first of them finds the other ways' data in the caches
                started = time.perf_counter()
                work()
                least[name] = min(least[name], (time.perf_counter() - started) / spots * 1e6)
    ratios = {
        f"{loop}_over_{ours}": least[f"{loop}_us"] / least[f"{ours}_us"]
        for loop in ("plain_loop", "lean_loop")
        for ours in ("one_thread", "threads")
    }
    return least | ratios


def _lean_loop(
    counts: sparse.csr_matrix, weights: np.ndarray, *, length: int, id_offset: int, keep_zeros: bool
) -> np.ndarray:
    """The least that a loop over spots can do; as the counts hold no stored zero, ``keep_zeros`` changes nothing."""
    tokens = np.zeros((counts.shape[0], length), dtype=np.int32)
    genes, data, pointer = counts.indices, counts.data, counts.indptr
    for spot in range(counts.shape[0]):
        here = slice(pointer[spot], pointer[spot + 1])
        order = np.argsort(-(data[here] / weights[genes[here]]), kind="stable")[:length]
        tokens[spot, : len(order)] = genes[here][order] + id_offset
    return tokens


def _print(measured: dict[str, Any]) -> None:
    for preset in PRESETS:
        found = measured[preset]
        print(f"rank tokens, {preset}: {found['spots']:,} spots with {found['genes_a_spot']:,.0f} genes each")
        print(f"  from disk        {found['reading_us']:8.2f} µs a spot to read, {found['ranking_us']:.2f} to rank")
        for loop in ("plain_loop", "lean_loop"):
            print(f"  {loop:16} {found[f'{loop}_us']:8.2f} µs a spot")
        for ours in ("one_thread", "threads"):
            plain, lean = (found[f"{loop}_over_{ours}"] for loop in ("plain_loop", "lean_loop"))
            print(f"  {ours:16} {found[f'{ours}_us']:8.2f} µs a spot   {plain:6.1f} × plain, {lean:6.1f} × lean loop")
        best = max(found["plain_loop_over_threads"], found["plain_loop_over_one_thread"])
        print(f"  target: {TARGET:.0f} × the plain loop: {'reached' if best >= TARGET else 'MISSED'}")
    print(f"  {measured['workers']} threads; peak {measured['peak_mb']:,.0f} MB")


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        slides = simulated_counts.write_slides(folder, slides=number)
        statistics = folder / "statistics.parquet"
        gene_statistics(
            expression=slides, scheduler=None, block_spots=4096, hvg=HVG, out=statistics, qc=folder / "qc.json"
        )
        _print(measure_tokenise(slides, statistics))
        started = time.perf_counter()
        files = dict.fromkeys(("panel", "vocabulary", "means"))
        rule = rule_dict(PRESETS["paper"]) | {"vocab": "build", "aliases": False}
        tokenise_slide(expression=slides[0], rule=rule, statistics=statistics, out=folder / "t", **files, workers=2)
        seconds = time.perf_counter() - started
        print(f"stage, 10,000 spots, tokens stored: {seconds:.2f} s, {seconds / 10_000 * 1e6:.0f} µs a spot")


if __name__ == "__main__":
    main()
