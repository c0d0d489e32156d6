"""Numbers as the thesis prints them, and what agrees with them."""

from __future__ import annotations

import decimal
import re
from decimal import Decimal
from typing import Any, NamedTuple

__all__ = [
    "DIFFERS",
    "EXACT",
    "MATCH",
    "MISSING",
    "PRINTED",
    "VALUE",
    "VERDICTS",
    "WITHIN",
    "parse_printed",
    "round_decimal",
    "verdict",
]

MATCH = "match"
WITHIN = "within tolerance"
DIFFERS = "differs"
MISSING = "not reproducible here"
VERDICTS = (MATCH, WITHIN, DIFFERS, MISSING)
# The largest double has 309 digits: room to round any of them exactly.
EXACT = decimal.Context(prec=1000, rounding=decimal.ROUND_HALF_EVEN)
PRINTED = re.compile(r"(>=|<=)?(-?[0-9]+(?:\.[0-9]+)?)")
VALUE = re.compile(r"-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]{1,3})?", re.IGNORECASE)


class _Printed(NamedTuple):
    """A number as the thesis prints it."""

    bound: str  #: ``>=``, ``<=`` or nothing
    number: Decimal

    @property
    def decimals(self) -> int:
        return -int(self.number.as_tuple().exponent)

    def distance(self, value: Any) -> Any:
        """How far ``value`` is from the number, or on the wrong side of the bound."""
        difference = EXACT.subtract(value, self.number)
        if self.bound:
            beyond = difference if self.bound == "<=" else -difference
            return max(beyond, Decimal(0))
        return abs(difference)


def parse_printed(text: str) -> _Printed:
    """A number, or a bound on one, as the thesis prints it."""
    match = PRINTED.fullmatch(text)
    assert match is not None, text  # checked when it was read
    bound, number = match.groups()
    return _Printed(bound or "", Decimal(number))


def round_decimal(value: Any, decimals: int) -> Any:
    """Round half to even, exactly, keeping trailing zeros."""
    return value.quantize(Decimal(1).scaleb(-decimals), context=EXACT)


def verdict(reported: str, reproduced: str, tolerance: str) -> str:
    """Verdict on one number.

    Parameters
    ----------
    reported : str
        As printed, e.g. ``0.9971``, or a bound, e.g. ``>=0.97``.
    reproduced : str
        With all its digits; empty when there is none.
    tolerance : str
        Largest accepted distance, in the number's own unit.

    Returns
    -------
    str
        ``match``: rounded half to even to the printed digits, the two are
        equal; a bound is a match when the unrounded value keeps it.
        ``within tolerance``: the unrounded value is at most ``tolerance``
        away from the reported one, or on the wrong side of the bound.
        ``differs``: anything else.  ``not reproducible here``: no value.
    """
    if not reproduced:
        return MISSING
    printed, value = parse_printed(reported), Decimal(reproduced)
    distance = printed.distance(value)
    if printed.bound:
        matches = distance == 0
    else:
        matches = round_decimal(value, printed.decimals) == printed.number
    if matches:
        return MATCH
    return WITHIN if distance <= Decimal(tolerance) else DIFFERS
