"""Choices that all attribution methods share."""

from collections.abc import Iterable

from cnnviz.runtime.errors import UserError

__all__ = ["EVALUATIONS", "check_choice"]

#: The cheaper of both where the layers allow windows; always windows; always whole passes.
EVALUATIONS = ("auto", "windows", "whole")


def check_choice(what: str, choice: str, choices: Iterable[str]) -> None:
    """Raise a UserError that names what there is, unless a choice is among it."""
    if choice not in choices:
        raise UserError(f"unknown {what} {choice!r}; choose one of " + ", ".join(choices))
