"""Facts about quantities. https://hl7.org/fhir/R4/search.html#quantity"""

from typing import Any

import pytest

from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.fhir.resource_json import Number

from ..evaluate import Searcher

UCUM = "http://unitsofmeasure.org"


def observation(**value: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", **value}


def quantity(value: Any, **more: Any) -> dict[str, Any]:
    return observation(valueQuantity={"value": value, "unit": "milligram", "system": UCUM, "code": "mg", **more})


SAMPLES = {"origin": {"value": 10, "system": UCUM, "code": "mV"}, "period": 1, "factor": Number("0.5"), "dimensions": 1}


@pytest.mark.parametrize(
    ("asked", "resource", "found", "reason"),
    [
        # "5.4|http://unitsofmeasure.org|mg: 5.4 (+/-0.05) mg, where mg is the code of UCUM"
        (f"5.4|{UCUM}|mg", quantity(Number("5.4")), True, "value, system and code"),
        (f"5.4|{UCUM}|mg", quantity(Number("5.44")), True, "within ±0.05"),
        (f"5.4|{UCUM}|mg", quantity(Number("5.45")), False, "the upper end is out"),
        (f"5.40|{UCUM}|mg", quantity(Number("5.44")), False, "within ±0.005"),
        (f"5.4|{UCUM}|g", quantity(Number("5.4")), False, "another code"),
        ("5.4|http://snomed.info/sct|mg", quantity(Number("5.4")), False, "another system"),
        (f"5.4|{UCUM}|milligram", quantity(Number("5.4")), False, "the unit is no code of the system"),
        (f"5.4|{UCUM}|MG", quantity(Number("5.4")), False, "UCUM codes have case"),
        # "5.4||mg: 5.4 (+/-0.05) mg, where the unit - either the code or the stated human unit - is mg"
        ("5.4||mg", quantity(Number("5.4")), True, "the code"),
        ("5.4||milligram", quantity(Number("5.4")), True, "the unit"),
        ("5.4||mg", observation(valueQuantity={"value": Number("5.4"), "unit": "mg"}), True, "a unit without a code"),
        ("5.4||g", quantity(Number("5.4")), False, "neither"),
        # "5.4: whatever the unit"
        ("5.4", quantity(Number("5.4")), True, "any unit"),
        ("5.4", observation(valueQuantity={"value": Number("5.4")}), True, "no unit"),
        ("5.4", observation(valueQuantity={"unit": "mg"}), False, "no value"),
        # prefixes
        (f"gt5.4|{UCUM}|mg", quantity(Number("5.41")), True, "exact number"),
        (f"gt5.4|{UCUM}|mg", quantity(Number("5.4")), False, "the equal is not greater"),
        (f"ge5.4|{UCUM}|mg", quantity(Number("5.40")), True, "the equal is included"),
        (f"le5.4|{UCUM}|mg", quantity(Number("5.40")), True, "the equal is included"),
        (f"le5.4|{UCUM}|g", quantity(Number("1")), True, "1 mg is less than 5.4 g"),
        ("lt5.4||g", quantity(Number("1")), False, "without a system units are not converted"),
        (f"0.5|{UCUM}|g", quantity(Number("500")), True, "half a gram"),
        (f"0.0054|{UCUM}|g", quantity(Number("5.4")), True, "whichever of the units it is"),
        (f"0.0054|{UCUM}|g", quantity(Number("5.45")), False, "[5.35, 5.45) mg: the upper end is excluded"),
        (f"0.0054|{UCUM}|g", quantity(Number("5.35")), True, "the lower end is not"),
        (f"310.15|{UCUM}|K", quantity(Number("37"), code="Cel"), True, "temperatures have offsets"),
        (f"lt98.6|{UCUM}|[degF]", quantity(Number("37"), code="Cel"), False, "37 °C is 98.6 °F"),
        (f"5.4|{UCUM}|mg", quantity(Number("5.4"), code="mL"), False, "a mass is no volume"),
        (f"ap5.4|{UCUM}|mg", quantity(Number("5.9")), True, "within 10 %"),
        (f"ap5.4|{UCUM}|mg", quantity(Number("6")), False, "more than 10 %"),
        (f"ne5.4|{UCUM}|mg", quantity(Number("5.5")), True, "another value"),
        (f"ne5.4|{UCUM}|mg", quantity(Number("5.4")), False, "the value"),
        (f"ne5.4|{UCUM}|mg", quantity(Number("5.4"), code="g"), True, "it is 5400 mg"),
        (f"ne5.4|{UCUM}|mg", quantity(Number("5.4"), code="mL"), False, "only masses are compared"),
        # comparators: an interval with one open end
        ("gt1000", quantity(5, comparator=">"), True, "may be any value above 5"),
        ("gt1000", quantity(5, comparator=">="), True, "may be any value from 5"),
        ("lt5", quantity(5, comparator=">"), False, "is above 5"),
        ("le5", quantity(5, comparator=">"), False, "is above 5"),
        ("sa5", quantity(5, comparator=">"), True, "is above 5 for sure"),
        ("sa5", quantity(5, comparator=">="), False, "may be 5"),
        ("lt-1000", quantity(5, comparator="<"), True, "may be any value below 5"),
        ("gt5", quantity(5, comparator="<"), False, "is below 5"),
        ("ge5", quantity(5, comparator="<"), False, "is below 5"),
        ("eb5", quantity(5, comparator="<"), True, "is below 5 for sure"),
        ("eb5", quantity(5, comparator="<="), False, "may be 5"),
        ("5", quantity(5, comparator="<"), False, "eq contains the whole interval"),
        ("ne5", quantity(5, comparator="<"), True, "not fully contained"),
        # SampledData: from the lowest to the highest sample
        ("gt14", observation(valueSampledData=SAMPLES | {"data": "0 E 4 10 L"}), True, "10 + 10 × 0.5 = 15"),
        ("gt15", observation(valueSampledData=SAMPLES | {"data": "0 E 4 10 L"}), False, "15 is the highest"),
        (f"lt11|{UCUM}|mV", observation(valueSampledData=SAMPLES | {"data": "0 E 4"}), True, "10 is the lowest"),
        ("gt0", observation(valueSampledData=SAMPLES | {"data": "E U L"}), False, "no sample is a number"),
        ("gt0", observation(valueSampledData=SAMPLES), False, "no data"),
        ("gt1000", observation(valueSampledData=SAMPLES | {"data": "nan 0 4"}), False, "nan is no sample"),
        ("sa1000", observation(valueSampledData=SAMPLES | {"data": "NaN"}), False, "nor by itself"),
        ("gt1000", observation(valueSampledData=SAMPLES | {"data": "0 inf"}), False, "nor is inf"),
        ("gt11", observation(valueSampledData=SAMPLES | {"data": "nan 4"}), True, "the others count: 10 + 4 × 0.5"),
        ("ne1", observation(valueSampledData=SAMPLES | {"data": "1e308", "factor": 10}), False, "beyond all numbers"),
        # any of several
        (
            "component-value-quantity=2",
            observation(component=[{"valueQuantity": {"value": 1}}, {"valueQuantity": {"value": 2}}]),
            True,
            "one of the components",
        ),
        ("combo-value-quantity=2", observation(component=[{"valueQuantity": {"value": 2}}]), True, "or of both"),
        # Age, Money and Range under parameters of type quantity
        (
            f"onset-age=ge70|{UCUM}|a",
            {"resourceType": "Condition", "onsetAge": {"value": 70, "system": UCUM, "code": "a"}},
            True,
            "an Age is a Quantity",
        ),
        (
            "onset-age=70",
            {"resourceType": "Condition", "onsetRange": {"low": {"value": 60}, "high": {"value": 80}}},
            False,
            "eq contains the whole range",
        ),
        (
            f"onset-age=ap70|{UCUM}|a",
            {
                "resourceType": "Condition",
                "onsetRange": {"low": {"value": 60, "system": UCUM, "code": "a"}, "high": {"value": 80}},
            },
            True,
            "overlaps; the unit is that of its ends",
        ),
        ("onset-age=gt0", {"resourceType": "Condition", "onsetRange": {}}, False, "a Range without ends says nothing"),
        (
            "totalnet=100|urn:iso:std:iso:4217|EUR",
            {"resourceType": "Invoice", "totalNet": {"value": 100, "currency": "EUR"}},
            True,
            "the currency of Money is a code of ISO 4217",
        ),
        (
            "totalnet=100||USD",
            {"resourceType": "Invoice", "totalNet": {"value": 100, "currency": "EUR"}},
            False,
            "another currency",
        ),
    ],
)  # fmt: skip
def test_facts(searcher: Searcher, asked: str, resource: dict[str, Any], found: bool, reason: str) -> None:
    query = asked if "=" in asked else f"value-quantity={asked}"
    assert searcher.matches(resource, query) is found, reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("5.4|mg", "two parts are neither number nor number|system|code"),
        ("5.4|a|b|c", "four parts"),
        (f"5.4|{UCUM}|", "no code"),
        ("5.4||", "no code"),
        ("||mg", "no number"),
        ("mg", "no number"),
        ("1e999||mg", "beyond the range of numbers"),
    ],
)
def test_bad_values(searcher: Searcher, value: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^value-quantity: ") as caught:
        searcher.parse("Observation", ("value-quantity", value))
    assert caught.value.issues[0].expression == ("value-quantity",), reason
    assert caught.value.issues[0].code == "value"
