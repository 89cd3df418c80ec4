"""What every section of the config shares: frozen records without unknown keys, and names that can stand in paths."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", description="used in paths: letters, digits, _ and -")
]
Encoders = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*([+][A-Za-z0-9][A-Za-z0-9_-]*)*$",
        description="one encoder, or several joined by + whose features are concatenated",
    ),
]


class Strict(BaseModel):
    """Base of every section: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
