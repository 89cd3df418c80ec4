"""Options of the shuffled control: none."""

from __future__ import annotations

from pydantic.dataclasses import dataclass

from stainscript.methods.options import STRICT
from stainscript.types import Needs


@dataclass(frozen=True, kw_only=True, config=STRICT)
class Config:
    """No options."""

    @property
    def needs(self) -> Needs:
        """Nothing: neither views nor gene inputs."""
        return Needs()
