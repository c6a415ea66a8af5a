"""The units and prefixes of UCUM, read from a table when they are first needed."""

from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import NamedTuple

BASE_UNITS = ("m", "s", "g", "rad", "K", "C", "cd")

_FILE = Path(__file__).with_name("ucum.tsv")
_POWERS = {
    "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1,
    "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24,
}  # fmt: skip
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40}


class Definition(NamedTuple):
    """A unit as `value` times another; `unit` is None for base units and those that nothing converts to.

    Only metric units take prefixes.
    """

    is_metric: bool
    value: Fraction
    unit: str | None


@cache
def definitions() -> dict[str, Definition]:
    """All units by their case sensitive code."""
    found = {code: Definition(True, Fraction(1), None) for code in BASE_UNITS}
    for line in _FILE.read_text("ascii").splitlines()[1:]:
        code, metric, value, unit = line.split("\t")
        found[code] = Definition(metric == "metric", Fraction(value or 1), unit or None)
    return found


@cache
def prefixes() -> dict[str, Fraction]:
    """What each prefix multiplies by."""
    found = {code: Fraction(10) ** power for code, power in _POWERS.items()}
    return found | {code: Fraction(2) ** power for code, power in _BINARY.items()}
