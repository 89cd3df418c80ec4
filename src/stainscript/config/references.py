"""Published tables that the gene side reads: where each comes from, and how genes are named by them."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from stainscript.config.base import Name, Strict

BUILTIN = "builtin"
GeneTable = Annotated[str, Field(description="builtin: the small table of published panels; or a reference's name")]


class Reference(Strict):
    """A published table: your own copy (``file``), an address, or a collection of MSigDB."""

    file: str | None = Field(None, description="your own copy; path from the repository or working folder")
    url: str | None = Field(None, description="http(s) address, fetched once where there is no file")
    msigdb: str | None = Field(None, description="collection fetched through gseapy's client, e.g. h.all or c5.go.bp")
    release: str = Field("", description="msigdb: version, e.g. 2025.1.Hs; else for the record")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="refused when the content differs")
    licence: str = Field(description="the licence, or where its terms are")

    @model_validator(mode="after")
    def _one_source(self) -> Reference:
        if (self.url is None) == (self.msigdb is None) and (self.file is None or self.url is not None):
            raise ValueError("file, url or msigdb (file may stand beside one of the others and wins)")
        if self.msigdb is not None and not self.release:
            raise ValueError("msigdb needs its release, e.g. 2025.1.Hs")
        if self.url is not None and (urlsplit(self.url).scheme not in ("http", "https") or not self.published_name):
            raise ValueError("url is http(s) and ends with the file's name")
        return self

    @property
    def published_name(self) -> str:
        """Name of the file as fetched."""
        if self.msigdb is not None:
            return f"{self.msigdb}.v{self.release}.symbols.gmt"
        return urlsplit(self.url or "").path.rsplit("/", 1)[-1]


class Identifiers(Strict):
    """How genes are named."""

    names: Literal["published", "symbol", "ensembl"] = Field(
        "published", description="gene ids of expression/: as the files have them, current symbols, or Ensembl ids"
    )
    merge: Literal["sum", "first"] = Field("sum", description="columns of one gene: counts added, or the first alone")
    human: GeneTable = BUILTIN
    mouse: GeneTable = BUILTIN


class GeneGrid(Strict):
    """Gene inputs to make with or without experiments: everything named, for every fold of every dataset's protocol."""

    datasets: tuple[Name, ...]
    protocols: tuple[Name, ...]
    statistics: bool = Field(False, description="reference statistics of the training slides, and their quality")
    tokens: tuple[Name, ...] = ()
    groups: tuple[Name, ...] = ()
    pathways: tuple[Name, ...] = Field((), description="curated gene sets, and the groups' enrichment in them")
    descriptions: tuple[Name, ...] = ()
    text_encoders: tuple[Name, ...] = Field((), description="embed every description of this grid")

    @model_validator(mode="after")
    def _texts_to_embed(self) -> GeneGrid:
        if self.text_encoders and not self.descriptions:
            raise ValueError("text_encoders embed descriptions: name those too")
        return self
