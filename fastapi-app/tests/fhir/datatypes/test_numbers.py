from math import inf, nextafter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirserver.fhir.datatypes.numbers import implied_range


@pytest.mark.parametrize(
    ("text", "low", "end", "reason"),
    [
        ("100", 99.5, 100.5, "R4's own example"),
        ("100.00", 99.995, 100.005, "R4's own example"),
        ("1e2", 95, 105, "R4's own example: two digits of precision at least"),
        ("0.1e3", 95, 105, "the same number with one digit"),
        ("12e1", 115, 125, "two digits"),
        ("1.0e2", 95, 105, "two digits"),
        ("1E+2", 95, 105, "a capital, a sign"),
        ("5.4e-3", 0.00535, 0.00545, "a negative exponent"),
        ("5.40", 5.395, 5.405, "the trailing zero counts"),
        ("-5", -5.5, -4.5, "negative"),
        ("+5", 4.5, 5.5, "a plus sign"),
        ("0", -0.5, 0.5, "zero"),
        ("0.0", -0.05, 0.05, "zero, more precise"),
        ("-0", -0.5, 0.5, "minus zero"),
    ],
)
def test_range(text: str, low: float, end: float, reason: str) -> None:
    assert implied_range(text) == (low, nextafter(end, -inf)), reason


@pytest.mark.parametrize("text", ["", "a", "1.", ".5", "1e", "1,5", "0x10", "NaN", "Infinity", "1 ", "1_0", "١"])
def test_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        implied_range(text)


@pytest.mark.parametrize("text", ["1e309", "-1e400", "9" * 310])
def test_out_of_range(text: str) -> None:
    with pytest.raises(ValueError, match="out of range"):
        implied_range(text)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=5))
def test_contains_the_number(number: object) -> None:
    low, high = implied_range(str(number))
    assert low <= float(str(number)) <= high
