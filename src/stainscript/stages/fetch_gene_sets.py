"""Published gene sets from MSigDB, through gseapy's client, as a GMT file and a record of what it is."""

from __future__ import annotations

import logging
import re
import threading
from pathlib import Path
from typing import Any

import requests

from stainscript.artifacts.files import file_sha256, write_json
from stainscript.errors import DataContractError
from stainscript.genes.pathways.gene_sets import DOWNLOAD, write_gmt

logger = logging.getLogger(__name__)

VERSION = re.compile(r"\d{4}\.\d+\.(Hs|Mm)")
SPECIES = {"Hs": "human", "Mm": "mouse"}
COLLECTION = {"Hs": re.compile(r"(h|c[1-8])(\.[a-z0-9_]+)+"), "Mm": re.compile(r"(mh|m[1-8])(\.[a-z0-9_]+)+")}
EXAMPLES = {"Hs": "h.all, c5.go, c5.go.bp, c5.go.cc, c5.go.mf", "Mm": "mh.all, m5.go, m5.go.bp, m5.go.cc, m5.go.mf"}
LICENCE = (
    "CC BY 4.0, (c) Broad Institute and Regents of the University of California; gene sets from KEGG, BioCarta and "
    "AAAS/STKE have terms of their own: https://www.gsea-msigdb.org/gsea/msigdb_license_terms.jsp"
)
CARD = "https://www.gsea-msigdb.org/gsea/msigdb/{species}/geneset/{name}"


def fetch_gene_sets(*, collection: str, version: str, out: str | Path, timeout_s: float = 120.0) -> None:
    """Write the collection as GMT to ``out``, and beside it ``<out>.json``: source, version, SHA-256, licence.

    collection: as MSigDB abbreviates it, e.g. ``h.all`` or ``c5.go.bp``, of mouse ``mh.all``; version: e.g.
    ``2025.1.Hs`` or ``2025.1.Mm``. The descriptions are the sets' own pages: gseapy's client drops those of the file,
    so ``out`` is not MSigDB's file byte for byte. timeout_s: for all of it; the client itself would wait for ever.
    Raises ``DataContractError`` for a name that no release has, no answer, or an answer that holds no gene sets; its
    remedy says how to put the file in place by hand.
    """
    out = Path(out)
    release = VERSION.fullmatch(version)
    if release is None:
        raise DataContractError(
            "gene sets",
            "version",
            expected="a release such as 2025.1.Hs or 2025.1.Mm",
            found=version,
            remedy="correct it",
        )
    kind = release.group(1)
    if not COLLECTION[kind].fullmatch(collection):
        expected = f"a {SPECIES[kind]} collection such as {EXAMPLES[kind]}"
        raise DataContractError("gene sets", "collection", expected=expected, found=collection, remedy="correct it")
    url = _url(collection, version)
    sets = _received(collection, version, out, timeout_s)
    pages = {name: CARD.format(species=SPECIES[kind], name=name) for name in sets}
    write_gmt(out, sets, descriptions=pages)
    record = {
        "source": "MSigDB through gseapy",
        "url": url,
        "collection": collection,
        "version": version,
        "licence": LICENCE,
        "sha256": file_sha256(out),
        "sets": len(sets),
        "genes": len({gene for genes in sets.values() for gene in genes}),
    }
    write_json(out.with_name(f"{out.name}.json"), record)
    logger.info("%s: %d gene sets of MSigDB %s, %s; licence: %s", out, len(sets), version, collection, LICENCE)


def _received(collection: str, version: str, out: Path, timeout_s: float) -> dict[str, list[str]]:
    """Name → genes as gseapy gives them, checked to be gene sets at all."""
    answer: dict[str, Any] = {}
    worker = threading.Thread(target=_ask, args=(collection, version, answer), daemon=True)
    worker.start()
    worker.join(timeout_s)
    if worker.is_alive():
        raise _by_hand(collection, version, out, f"no answer within {timeout_s:g} s")
    if "error" in answer:
        raise _by_hand(collection, version, out, answer["error"])
    if not answer.get("sets"):
        raise _by_hand(collection, version, out, "no such file at the address, or access refused")
    sets = {name: [gene.strip() for gene in genes if gene.strip()] for name, genes in answer["sets"].items()}
    broken = next((name for name, genes in sets.items() if not name.strip() or not genes), None)
    if broken is not None:
        raise _by_hand(collection, version, out, f"no gene set: {broken.strip()[:60]!r}")
    return sets


def _ask(collection: str, version: str, answer: dict[str, Any]) -> None:
    import gseapy

    try:
        answer["sets"] = gseapy.Msigdb.get_gmt(category=collection, dbver=version)
    except requests.RequestException as error:
        answer["error"] = f"no connection ({type(error).__name__})"


def _url(collection: str, version: str) -> str:
    import gseapy

    return f"{gseapy.Msigdb.url.rstrip('/')}/{version}/{collection}.v{version}.symbols.gmt"


def _by_hand(collection: str, version: str, out: Path, found: str) -> DataContractError:
    file = f"{collection}.v{version}.symbols.gmt"
    return DataContractError(
        _url(collection, version),
        "gene sets",
        expected=f"the collection {collection} of MSigDB {version}",
        found=found,
        remedy=f"try again later, or download {file} from {DOWNLOAD} by hand and put it at {out}",
    )
