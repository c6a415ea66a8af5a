"""What is asked of a unit × how it is stored; prefixes × comparators, Ranges and samples.

https://hl7.org/fhir/R4/search.html#quantity
"""

from typing import Any

import pytest

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
UCUM = "http://unitsofmeasure.org"
MG = {"system": UCUM, "code": "mg"}


def _observation(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **elements}


def _quantity(value: float, **more: Any) -> dict[str, Any]:
    return _observation(valueQuantity={"value": value, **more})


def _component(value: float, **more: Any) -> dict[str, Any]:
    return _observation(component=[{"code": {"text": "x"}, "valueQuantity": {"value": value, **more}}])


def _samples(data: str) -> dict[str, Any]:
    origin = {"value": 0, **MG}
    return _observation(valueSampledData={"origin": origin, "period": 10, "dimensions": 1, "data": data})


RESOURCES = {
    "mg": _quantity(5.4, **MG),
    "milligram": _quantity(5.4, unit="milligram", **MG),
    "snomed": _quantity(5.4, system="http://snomed.info/sct", code="mg", unit="mg"),
    "said": _quantity(5.4, unit="mg"),
    "bare": _quantity(5.4),
    "capitals": _quantity(5.4, system=UCUM, code="MG"),
    "part": _component(5.4, **MG),
    "below": _quantity(5, comparator="<", **MG),
    "upto": _quantity(5, comparator="<=", **MG),
    "above": _quantity(5, comparator=">", **MG),
    "from": _quantity(5, comparator=">=", **MG),
    "samples": _samples("4 5.5 E"),
    "no-samples": _samples("E L"),
    "none": _observation(valueString="5.4 mg"),
}

UNITS = [
    # asked, what it finds of the values of 5.4, why
    ("value-quantity=5.4", "mg milligram snomed said bare capitals", "R4: irrespective of the unit"),
    ("value-quantity=5.4||mg", "mg milligram snomed said", "R4: the code or the stated human unit is mg"),
    ("value-quantity=5.4||milligram", "milligram", "R4: the stated human unit"),
    (f"value-quantity=5.4|{UCUM}|mg", "mg milligram", "R4: mg is understood as a UCUM unit"),
    (f"value-quantity=5.4|{UCUM}|milligram", "", "what is said is not a code"),
    ("value-quantity=5.4|http://snomed.info/sct|mg", "snomed", "the code of another system"),
    ("value-quantity=5.4|http://nowhere.org|mg", "", "the code of no system here"),
    ("component-value-quantity=5.4", "part", "the value of a component"),
    (f"combo-value-quantity=5.4|{UCUM}|mg", "mg milligram part", "the value or that of a component"),
]

COMPARED = [
    # asked, values, the prefixes that find them, why
    ("5", "below", "ne lt le eb ap", "anything below 5, and nothing from 5 on"),
    ("5", "upto", "ne lt le ap", "anything below 5, and perhaps 5, so it isn't before it"),
    ("5", "above", "ne gt ge sa ap", "anything above 5, and nothing up to 5"),
    ("5", "from", "ne gt ge ap", "anything above 5, and perhaps 5, so it isn't after it"),
    ("5", "samples", "ne gt lt ge le ap", "from the lowest sample, 4, to the highest, 5.5"),
    ("5.4", "mg milligram", "eq ge le ap", "exactly 5.4"),
    ("5.4", "below upto", "ne lt le eb ap", "all of it is below 5.4; the tenth around 5.4 begins below 5"),
    ("5.4", "above from", "ne gt lt ge le ap", "may be more or less than 5.4"),
    ("6.5", "below upto", "ne lt le eb", "all of it is below, by more than a tenth"),
    ("6.5", "mg milligram samples", "ne lt le eb", "below, by more than a tenth"),
    ("6.5", "above from", "ne gt lt ge le ap", "may be more or less than 6.5"),
    ("5.4", "no-samples none", "", "no number"),
]


@pytest.mark.parametrize(("asked", "names", "reason"), UNITS)
async def test_units(find, asked: str, names: str, reason: str) -> None:
    assert sorted(await find(f"Observation?{asked}")) == sorted(names.split()), reason


@pytest.mark.parametrize(("asked", "values", "prefixes", "reason"), COMPARED)
async def test_prefixes(find, asked: str, values: str, prefixes: str, reason: str) -> None:
    for prefix in PREFIXES:
        for unit in ("", f"|{UCUM}|mg", "||mg"):
            found = set(await find(f"Observation?value-quantity={prefix}{asked}{unit}"))
            wanted = set(values.split())
            assert found & wanted == (wanted if prefix in prefixes.split() else set()), f"{prefix}{unit}: {reason}"
