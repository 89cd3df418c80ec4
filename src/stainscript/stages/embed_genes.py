"""Stage ``embed_genes``: the text of each gene as a vector, by one frozen text encoder."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stainscript.artifacts.files import file_sha256
from stainscript.artifacts.stores import write_store
from stainscript.devices import hold_gpus
from stainscript.encoders import text as text_encoders
from stainscript.errors import DataContractError
from stainscript.genes.descriptions.records import Description, read_descriptions

logger = logging.getLogger(__name__)

LOADED = (
    *("weights", "weights_sha256", "revision", "seed", "options", "pooling", "dimension", "normalise", "max_length"),
    *("batch_size", "precision"),
)
ON_CPU = {"accelerator": "cpu"}
_LISTED = 3  # different values of a fact that are written out


def embed_genes(
    *,
    descriptions: str | Path,
    encoder: Mapping[str, Any],
    out: str | Path,
    hardware: Mapping[str, Any] | None = None,
) -> None:
    """Embed every description and write one store of kind ``gene_text``, one row a gene, in the order of the file.

    descriptions: JSONL of ``describe_genes``; encoder: ``kind``, ``text_source`` (values, raw_json, summary), all of
    ``LOADED``, and optionally ``name``; hardware: accelerator and threads, by default the CPU. A gene without text is
    embedded by its symbol, never left out, and counted in the log. Raises ``DataContractError`` for wrong weights or
    settings and for descriptions that are none.
    """
    hardware = dict(hardware or ON_CPU)
    described = _read(descriptions)
    chosen = encoder["text_source"]
    texts = [one.text(chosen).strip() or one.symbol for one in described]
    bare = [one.gene_id for one in described if not _has_text(one, chosen)]
    if bare:
        logger.warning("%d of %d genes have no text and are embedded by their symbol: %s", *_counted(bare, described))
    accelerator = hardware.get("accelerator", "auto") if text_encoders.needs_gpu(encoder["kind"]) else "cpu"
    with contextlib.ExitStack() as stack:
        gpus = stack.enter_context(hold_gpus(accelerator=accelerator, count=1))
        placed = {**hardware, "accelerator": accelerator, "gpu": None if gpus is None else gpus[0]}
        made = text_encoders.load(encoder["kind"], **{key: encoder[key] for key in LOADED}, hardware=placed)
        embeddings = made.encode(texts)
    alike = len(described) - len(np.unique(embeddings, axis=0))
    if alike:
        logger.warning("%d of %d genes have the vector of another gene", alike, len(described))
    attrs = {
        "source": _common(one.source for one in described),
        "release": _common(one.source_release for one in described),
        "prompt": _common(one.prompt_sha256 for one in described),
        "model": _common(one.model for one in described),
        "strategy": _common(one.strategy for one in described),
        "disease": _common(one.disease for one in described),
        "descriptions_sha256": file_sha256(descriptions),
        "text_source": chosen,
        "encoder": encoder.get("name", made.name),
        "kind": made.name,
        "weights_sha256": made.weights_sha256,
        "pooling": made.pooling,
        "dimension": encoder["dimension"],
        "normalise": encoder["normalise"],
        "max_length": made.max_length,
        "precision": made.precision,
        "truncated": made.truncated,
        "without_text": len(bare),
        "card": made.card,
    }
    gene_ids = np.asarray([one.gene_id for one in described], dtype=object)
    write_store(out, "gene_text", {"embeddings": embeddings, "gene_id": gene_ids}, attrs)
    logger.info("embedded %d genes with %s: %d dimensions", *embeddings.shape[:1], made.name, embeddings.shape[1])


def _read(path: str | Path) -> list[Description]:
    if not Path(path).is_file() or not Path(path).stat().st_size:
        found = "an empty file" if Path(path).is_file() else "no such file"
        raise DataContractError(
            path, "descriptions", expected="a description a gene", found=found, remedy="run describe_genes"
        )
    return read_descriptions(path)


def _has_text(one: Description, source: str) -> bool:
    """Whether a description says more than the symbol."""
    if source == "summary":
        return bool(one.summary.strip())
    said = [one.functionality, one.phenotype, *([one.raw] if source == "raw_json" else [])]
    return any(part.strip() for part in said)


def _counted(bare: list[str], described: list[Description]) -> tuple[int, int, str]:
    shown = ", ".join(bare[:_LISTED]) + (f" and {len(bare) - _LISTED} more" if len(bare) > _LISTED else "")
    return len(bare), len(described), shown


def _common(values: Iterable[str]) -> str:
    """The value that all genes share; a few different ones listed, many (a prompt a gene) as one digest over all."""
    every = list(values)
    different = sorted(set(every))
    if len(different) <= _LISTED:
        return ", ".join(value for value in different if value)
    digest = hashlib.sha256("\x1f".join(every).encode()).hexdigest()
    return f"{len(different)} different, SHA-256 {digest}"
