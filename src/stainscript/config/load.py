"""``config.yaml`` with the protocol and experiment files that it names → one checked ``Config``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from stainscript.config.experiments import ExperimentSet, Protocol
from stainscript.config.whole import FROM_FILES, Config, check_known
from stainscript.errors import DataContractError, unknown_name


def load(raw: dict[str, Any], *, folders: Sequence[str | Path], path: str | Path = "config.yaml") -> Config:
    """Read the merged config: ``raw`` (``config.yaml`` and command line) plus protocol and experiment files.

    folders: where ``protocols/`` and ``experiments/`` are looked for, the first that has a name wins: the working
    folder's own ``workflow``, then the repository's. Raises ``DataContractError`` that names the file, the key, what
    was expected and the near alternatives.
    """
    known_sets, known_protocols = _files(folders, "experiments"), _files(folders, "protocols")
    chosen = raw.get("experiments") or []
    chosen = [chosen] if isinstance(chosen, str) else list(chosen)
    for name in chosen:
        check_known(path, "experiments", name, known_sets)
    sets = {name: _parse(ExperimentSet, _yaml(known_sets[name]), known_sets[name]) for name in chosen}
    asked = [
        (known_sets[name], protocol) for name, found in sets.items() for g in found.grids for protocol in g.protocols
    ]
    asked += [(path, protocol) for protocol in _protocols_of(raw.get("genes"))]
    protocols: dict[str, Protocol] = {}
    for asker, wanted in asked:
        check_known(asker, "protocols", wanted, known_protocols)
        if wanted not in protocols:
            protocols[wanted] = _parse(Protocol, _yaml(known_protocols[wanted]), known_protocols[wanted])
    protocols = dict(sorted(protocols.items()))
    for owned in FROM_FILES:
        if owned in raw:
            raise DataContractError(
                path, owned, expected="no such key", found="one", remedy=f"put it into a file of workflow/{owned}/"
            )
    body = {**raw, "experiments": chosen, "protocols": protocols, "experiment_sets": sets}
    return _parse(Config, body, path)


def _protocols_of(grids: Any) -> list[str]:
    """Protocols that the config's ``genes`` name; what has another form is refused when the config is checked."""
    rows = [grid.get("protocols") for grid in grids if isinstance(grid, dict)] if isinstance(grids, list) else []
    return [name for names in rows if isinstance(names, list) for name in names if isinstance(name, str)]


def schemas() -> dict[str, dict[str, Any]]:
    """JSON schemas of ``config.yaml``, protocols and experiment sets, by file name: for editors, from the models."""
    whole = Config.model_json_schema()
    for owned in FROM_FILES:
        del whole["properties"][owned]
    made = {"config": whole, "protocol": Protocol.model_json_schema(), "experiments": ExperimentSet.model_json_schema()}
    return {f"{name}.schema.json": schema for name, schema in made.items()}


def _parse(model: type[BaseModel], value: Any, path: str | Path) -> Any:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _explain(error, model, path) from error


def _explain(error: ValidationError, model: type[BaseModel], path: str | Path) -> DataContractError:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or "the whole config"
    if first["type"] == "extra_forbidden":
        return unknown_name(path, where, str(first["loc"][-1]), _keys_at(model, first["loc"][:-1]))
    return DataContractError(
        path,
        where,
        expected=first["msg"].removeprefix("Value error, "),
        found=repr(first["input"])[:80],
        remedy="correct this key; see its comment in config.yaml",
    )


def _keys_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The legal keys of the section at ``loc``, following models through dicts and tuples."""
    current: Any = model
    for part in loc:
        if isinstance(current, type) and issubclass(current, BaseModel) and part in current.model_fields:
            current = current.model_fields[part].annotation
        for inner in getattr(current, "__args__", ()):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                current = inner
    return (
        sorted(set(current.model_fields) - set(FROM_FILES))
        if isinstance(current, type) and issubclass(current, BaseModel)
        else []
    )


def _files(folders: Sequence[str | Path], kind: str) -> dict[str, Path]:
    """Name → file of every YAML of a kind; earlier folders win."""
    found = {path.stem: path for folder in reversed(folders) for path in sorted((Path(folder) / kind).glob("*.yaml"))}
    return dict(sorted(found.items()))


def _yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise DataContractError(
            path, "syntax", expected="YAML", found=str(error).replace("\n", " "), remedy="correct the file"
        ) from error
