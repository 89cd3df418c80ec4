"""An integer key for every (gene, count): ascending keys are descending count / weight, ties by gene.

Ranking a spot is then a look-up and a sort of integers, which NumPy does with the processor's vector instructions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

COMMON = 64  # counts up to this are looked up by count and gene at once; the rarer higher ones by gene, then count
MAX_PAIRS = 2**22  # pairs of gene and count in a table
LAST_KEY = 2**32 - 1


class Scratch:
    """Arrays that one thread uses over and over: ``array`` gives the named one, uninitialised.

    Memory is taken once: threads that ask the system for pages all the time wait for each other.
    """

    def __init__(self) -> None:
        self.held: dict[str, np.ndarray] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        size = math.prod(shape)
        held = self.held.get(name)
        if held is None or held.size < size or held.dtype != dtype:
            held = self.held[name] = np.empty(size + size // 4, dtype=dtype)
        return held[:size].reshape(shape)


def capped(highest: np.ndarray) -> np.ndarray:
    """(V,) highest counts, capped alike by a power of two where a table of them would exceed ``MAX_PAIRS``."""
    cap = 2**31
    while np.minimum(highest, cap).sum() > MAX_PAIRS and cap > 1:
        cap //= 2
    return np.minimum(highest, cap)


class RankTable:
    """Keys (uint32) of the counts 1 … ``highest`` of each gene, and of 0 where stored zeros are to be ranked.

    All pairs of gene and count are put in order of descending count / weight and ascending gene. While 32 bits are
    enough, a key's low bits are the gene's token, and its high bits the number of the run that the pair belongs to: the
    order is cut where the token does not ascend, so that pairs of one run compare by token. Else a key is the place in
    the order, and the token is looked up by it. highest: (V,), at most ``MAX_PAIRS`` in all (see ``capped``). A count
    that is not in the table has the key ``no_gene``, the last of all, with token 0; so has a zero not to be ranked.
    """

    def __init__(self, weights: np.ndarray, *, highest: np.ndarray, id_offset: int, keep_zeros: bool) -> None:
        self.highest = highest
        lowest = 0 if keep_zeros else 1
        each = self.highest + 1 - lowest
        gene = np.repeat(np.arange(len(each)), each)
        count = np.arange(len(gene)) - np.repeat(np.cumsum(each) - each, each) + lowest
        order = np.argsort(-(count / weights[gene]), kind="stable")  # of ties, the lower gene stands first already
        gene, count = gene[order], count[order]
        token = (gene + id_offset).astype(np.uint32)
        run = np.cumsum(np.concatenate([[False], token[1:] <= token[:-1]]))[: len(token)]
        bits = int(len(weights) - 1 + id_offset).bit_length()
        self.token_bits: int | None = 2**bits - 1 if int(run[-1:].sum()) + 1 < 2 ** (32 - bits) else None
        if self.token_bits is not None:
            keys, self.no_gene = (run.astype(np.uint32) << np.uint32(bits)) | token, LAST_KEY - self.token_bits
        else:
            keys, self.no_gene = np.arange(len(token), dtype=np.uint32), LAST_KEY
            self.token_of = np.append(token, np.uint32(0)).astype(np.int32)
        # Counts 0 … COMMON are rows of all genes, the next row is empty; each gene's higher ones stand together behind.
        rows, rare = (COMMON + 2) * len(weights), np.maximum(self.highest - COMMON, 0)
        self.tail = rows + np.cumsum(rare) - rare - (COMMON + 1)
        self.table = np.full(rows + int(rare.sum()), self.no_gene, dtype=np.uint32)
        self.table[np.where(count > COMMON, self.tail[gene] + count, count * len(weights) + gene)] = keys

    def keys(self, genes: np.ndarray, counts: np.ndarray, *, scratch: Scratch) -> tuple[np.ndarray, np.ndarray]:
        """(n,) keys of n counts, valid until ``scratch`` is used again; and positions of counts that it lacks."""
        place = scratch.array("place", counts.shape, np.int32)
        np.minimum(counts, COMMON + 1, out=place, casting="unsafe")
        place *= np.int32(len(self.highest))
        place += genes
        index = scratch.array("index", counts.shape, np.intp)
        index[:] = place
        keys = scratch.array("keys", counts.shape, np.uint32)
        np.take(self.table, index, out=keys, mode="clip")  # clip: no second pass that checks bounds
        none = np.flatnonzero(np.equal(keys, self.no_gene, out=scratch.array("none", keys.shape, np.bool_)))
        gene, count = genes[none], counts[none]
        high = (count > COMMON) & (count <= self.highest[gene])
        keys[none[high]] = self.table[self.tail[gene[high]] + count[high]]
        return keys, none[~high & (count > 0)]

    def decode(self, keys: np.ndarray, tokens: np.ndarray) -> None:
        """Write the tokens of keys, both (spots, positions)."""
        if self.token_bits is not None:
            np.bitwise_and(keys.view(np.int32), np.int32(self.token_bits), out=tokens)
        else:
            tokens[...] = np.take(self.token_of, keys, mode="clip")
