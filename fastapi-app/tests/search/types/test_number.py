"""Facts about numbers. https://hl7.org/fhir/R4/search.html#number and #prefix"""

import pytest

from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.fhir.resource_json import Number

from ..evaluate import Searcher


def risk(value: object) -> dict[str, object]:
    """A resource whose `probability` is a decimal or a Range."""
    name = "probabilityRange" if isinstance(value, dict) else "probabilityDecimal"
    return {"resourceType": "RiskAssessment", "prediction": [{name: value}]}


def between(low: object, high: object) -> dict[str, object]:
    return {name: {"value": value} for name, value in (("low", low), ("high", high)) if value is not None}


@pytest.mark.parametrize(
    ("asked", "value", "found", "reason"),
    [
        # eq: "values that equal 100, to 3 significant figures precision, so this is actually searching for values in
        # the range [99.5 … 100.5)"
        ("100", 100, True, "the same"),
        ("100", Number("99.5"), True, "the lower end is in"),
        ("100", Number("100.49999"), True, "below the upper end"),
        ("100", Number("100.5"), False, "the upper end is out"),
        ("100", Number("99.4999"), False, "below the lower end"),
        ("100.00", Number("100"), True, "[99.995 … 100.005)"),
        ("100.00", Number("100.004"), True, "[99.995 … 100.005)"),
        ("100.00", Number("100.005"), False, "the upper end is out"),
        ("100.00", Number("100.4"), False, "5 significant figures"),
        ("1e2", Number("104.9"), True, "R4: [95 … 105), which is 2 significant figures where 1 is written"),
        ("1e2", 95, True, "the lower end is in"),
        ("1e2", 105, False, "the upper end is out"),
        ("1.0e2", Number("95"), True, "[95 … 105)"),
        ("1.0e2", Number("105"), False, "[95 … 105)"),
        ("-1", Number("-1.4"), True, "[-1.5 … -0.5)"),
        ("-1", Number("-0.5"), False, "the upper end is out"),
        ("+1", 1, True, "a sign"),
        ("0", Number("0.4"), True, "[-0.5 … 0.5)"),
        ("eq0.1", Number("0.10"), True, "eq is the default"),
        ("0.1", 0.1, True, "floats"),
        # ne: the opposite of eq
        ("ne100", Number("100.5"), True, "outside [99.5 … 100.5)"),
        ("ne100", Number("100.4"), False, "inside"),
        ("ne100", Number("99.4"), True, "below"),
        # gt, lt, ge, le: "the precision of the number is not considered: the number is exact"
        ("gt100", Number("100.01"), True, "greater than exactly 100"),
        ("gt100", 100, False, "the equal is not greater"),
        ("lt100", Number("99.99"), True, "less than exactly 100"),
        ("lt100", 100, False, "the equal is not less"),
        ("ge100", 100, True, "the equal is included"),
        ("ge100", Number("99.99"), False, "less than exactly 100"),
        ("le100", 100, True, "the equal is included"),
        ("le100", Number("100.01"), False, "more than exactly 100"),
        ("ge5.4", Number("5.4"), True, "equal decimals stay equal"),
        # sa, eb on decimals
        ("sa100", Number("100.1"), True, "starts after"),
        ("sa100", 100, False, "starts at"),
        ("eb100", Number("99.9"), True, "ends before"),
        ("eb100", 100, False, "ends at"),
        # ap: "the recommended value for the approximation is 10% of the stated value"
        ("ap100", 110, True, "10 % more"),
        ("ap100", 90, True, "10 % less"),
        ("ap100", Number("110.1"), False, "more than 10 %"),
        ("ap-100", -105, True, "10 % of the absolute value"),
        ("ap0", 0, True, "zero"),
        # a Range is an interval
        ("0.5", between(Number("0.46"), Number("0.54")), True, "inside [0.45 … 0.55)"),
        ("0.5", between(Number("0.4"), Number("0.54")), False, "eq contains the whole range"),
        ("ne0.5", between(Number("0.4"), Number("0.54")), True, "not fully contained"),
        ("gt0.5", between(Number("0.4"), Number("0.6")), True, "the part above overlaps"),
        ("lt0.5", between(Number("0.4"), Number("0.6")), True, "the part below overlaps"),
        ("sa0.5", between(Number("0.4"), Number("0.6")), False, "starts before"),
        ("sa0.3", between(Number("0.4"), Number("0.6")), True, "all of it is above"),
        ("eb0.7", between(Number("0.4"), Number("0.6")), True, "all of it is below"),
        ("eb0.5", between(Number("0.4"), Number("0.6")), False, "ends after"),
        ("gt1000", between(Number("0.4"), None), True, "no upper end"),
        ("lt0", between(Number("0.4"), None), False, "the lower end counts"),
        ("lt-1000", between(None, Number("0.4")), True, "no lower end"),
        ("ap0.5", between(Number("0.54"), Number("9")), True, "overlaps [0.45 … 0.55]"),
        ("gt0", {}, False, "a Range without ends says nothing"),
        ("gt0", {"low": {"unit": "x"}}, False, "nor do ends without values"),
    ],
)
def test_facts(searcher: Searcher, asked: str, value: object, found: bool, reason: str) -> None:
    assert searcher.matches(risk(value), f"probability={asked}") is found, reason


def test_or_and_and(searcher: Searcher) -> None:
    resource = {"resourceType": "RiskAssessment", "prediction": [{"probabilityDecimal": 1}, {"probabilityDecimal": 5}]}
    assert searcher.matches(resource, "probability=7,5")
    assert not searcher.matches(resource, "probability=7,8")
    assert searcher.matches(resource, "probability=lt2&probability=gt4")
    assert not searcher.matches(resource, "probability=gt2&probability=gt6")


@pytest.mark.parametrize(
    "value",
    ["", "x", "gt", "1,5x", "1.", ".5", "0x10", "1e", "NaN", "Infinity", "1e999", "gt1e999", "٣", "xx5", "eq eq5"],
)
def test_bad_values(searcher: Searcher, value: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^probability: .* is not a number, with or without one of the prefixes"):
        searcher.parse("RiskAssessment", ("probability", f"1,{value}" if value else "gt"))
