"""Progress of a fit: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
import time

from tqdm import tqdm

logger = logging.getLogger(__name__)

PLAIN_LINE_SECONDS = 5.0  # at most one plain line in this time, and always one at the end


class Progress:
    """Epochs of one phase. ``shown=False`` in all processes but the first."""

    def __init__(self, *, name: str, epochs: int, start: int, shown: bool) -> None:
        self.name, self.epochs, self.shown = name, epochs, shown
        self.bar = None
        if shown and sys.stderr.isatty():
            self.bar = tqdm(total=epochs, initial=start, desc=name, unit="epoch", leave=True)
        self.last_s = time.monotonic()

    def epoch(self, epoch: int, row: dict[str, float]) -> None:
        """Report that ``epoch`` (from 1) is done; row: its line of the history."""
        if self.bar is not None:
            self.bar.update()
            self.bar.set_postfix_str(_losses(row))
        elif self.shown and time.monotonic() - self.last_s >= PLAIN_LINE_SECONDS:
            self.last_s = time.monotonic()
            logger.info("%s: epoch %d of %d, %s", self.name, epoch, self.epochs, _losses(row))

    def close(self, *, epoch: int, best_epoch: int) -> None:
        if self.bar is not None:
            self.bar.close()
        if self.shown:
            logger.info("%s: done after %d of %d epochs, best at %d", self.name, epoch, self.epochs, best_epoch)


def _losses(row: dict[str, float]) -> str:
    return ", ".join(f"{name} {row[name]:.4g}" for name in ("train_loss", "val_loss") if name in row)
