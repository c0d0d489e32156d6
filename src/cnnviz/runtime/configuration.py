"""The workflow's configuration, checked with messages a user understands."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from cnnviz.runtime import files, paths

__all__ = ["differences", "fundus_source", "plain", "problems"]


def _place(error) -> str:
    """Where in the configuration an error is, as ``training.c1``."""
    return ".".join(str(part) for part in error.absolute_path) or "top level"


def _unknown_keys(error) -> Iterator[str]:
    """One message for every key that the schema does not know."""
    known = list(error.schema.get("properties", ()))
    for key in error.instance:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, 1)
            hint = f"did you mean '{close[0]}'?" if close else "known keys: " + ", ".join(known)
            yield f"{_place(error)}: unknown key '{key}'; {hint}"


def _messages(error) -> Iterator[str]:
    if error.validator == "additionalProperties":
        yield from _unknown_keys(error)
    elif error.validator == "enum":
        choices = ", ".join(str(choice) for choice in error.validator_value)
        yield f"{_place(error)}: '{error.instance}' is not one of {choices}"
    elif error.validator == "contains":
        yield f"{_place(error)}: must contain 'random', the thesis's split"
    else:
        yield f"{_place(error)}: {error.message}"


def problems(
    config: Mapping[str, Mapping[str, int] | Sequence[str] | str],
    schema_path: Path = paths.CONFIG_SCHEMA,
) -> list[str]:
    """Mistakes in a configuration.

    Parameters
    ----------
    config : dict
        As Snakemake reads it from its YAML files.
    schema_path : path
        JSON schema in YAML.

    Returns
    -------
    list of str
        One line for each mistake; empty when there is none.
    """
    schema = yaml.safe_load(files.read_text(schema_path))
    config = plain(config)
    validator = jsonschema.Draft202012Validator(schema)
    lines = [
        message
        for error in sorted(validator.iter_errors(config), key=_place)
        for message in _messages(error)
    ]
    if not lines:
        lines = [*_untrained(config), *_not_at_hand(config["fundus"])]
    return lines


def _untrained(config: Mapping[str, Mapping[str, int] | Sequence[str] | str]) -> Iterator[Any]:
    if config["weights"] == "trained":
        for name in config["networks"]:
            if name not in config["training"]:
                yield f"training: no settings for network '{name}'"


def _not_at_hand(fundus: Any) -> Iterator[Any]:
    """What only the user can bring, and did not."""
    folder = fundus["kaggle"]
    if fundus["source"] == "kaggle" and not folder:
        yield "fundus.kaggle: names no folder, which the source 'kaggle' needs"
    elif fundus["source"] == "kaggle" and not Path(folder).is_dir():
        yield (
            f"fundus.kaggle: {folder}: no such folder; 'cnnviz prepare-photographs "
            "--help' says how to get the competition's photographs"
        )
    if fundus["weights"] == "defauw" and not paths.DEFAUW_WEIGHTS.is_file():
        yield (
            f"fundus.weights: {paths.DEFAUW_WEIGHTS}: no such file; make it with 'cnnviz "
            f"convert-defauw --dump PARAMSDUMP.pkl --output {paths.DEFAUW_WEIGHTS}', whose "
            "--help says where that dump is"
        )


def fundus_source(fundus: Mapping[str, int | str | None], mirror: Path | str | None) -> Any:
    """Where the photographs of chapter 4 come from.

    Parameters
    ----------
    fundus : dict
        That part of the configuration.
    mirror : path or None
        Folder with copies of external files, if there is one.

    Returns
    -------
    str
        "synthetic", "idrid" or "kaggle".
    """
    if fundus["source"] == "auto":
        return "idrid" if mirror else "synthetic"
    return fundus["source"]


def differences(config: Any, default: Any, place: Any = "") -> list[str]:
    """Settings that two configurations do not share.

    Parameters
    ----------
    config, default : dict

    Returns
    -------
    list of str
        Such as ``fundus.pairs``, in alphabetical order.
    """
    changed = []
    for key in sorted({*config, *default}):
        values = config.get(key), default.get(key)
        if all(isinstance(value, dict) for value in values):
            changed += differences(*values, f"{place}{key}.")
        elif values[0] != values[1]:
            changed.append(f"{place}{key}")
    return changed


def plain(value: Any) -> Any:
    """Dictionaries and lists of any kind as plain ones."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
