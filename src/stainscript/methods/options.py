"""What the configs of all methods share. Imports no torch: the job graph is made from it."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict

STRICT = ConfigDict(extra="forbid")

Standardisation = Literal["slide", "train"]  # z-score over each slide's own spots, or by the training spots' statistics
