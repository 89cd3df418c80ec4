"""Decoded tiles kept for the next read."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Hashable

import numpy as np


class TileCache:
    """The tiles used last, up to a number of bytes. Threads share it; the lock is held for look-ups alone.

    A forked process starts with an empty one: a thread of the parent may have held the lock at the fork.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._start()

    def _start(self) -> None:
        self._tiles: OrderedDict[Hashable, np.ndarray] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()
        self._process = os.getpid()

    def get(self, key: Hashable) -> np.ndarray | None:
        """The tile of ``key``, now the last to leave; ``None`` where it is not kept."""
        if self._process != os.getpid():
            self._start()
        with self._lock:
            tile = self._tiles.get(key)
            if tile is not None:
                self._tiles.move_to_end(key)
            return tile

    def put(self, key: Hashable, tile: np.ndarray) -> None:
        """Keep a tile, and let the longest unused go."""
        with self._lock:
            if key in self._tiles:  # another thread decoded it at the same time
                return
            self._tiles[key] = tile
            self._held += tile.nbytes
            while self._held > self._limit and len(self._tiles) > 1:
                _, old = self._tiles.popitem(last=False)
                self._held -= old.nbytes
