"""Composite parameters: the parts belong to one value.

https://hl7.org/fhir/R4/search.html#composite
"""

import pytest

from fhirserver.fhir.outcomes import InvalidRequest

LOINC = "http://loinc.org"


def concept(code, system=LOINC):
    return {"coding": [{"system": system, "code": code}]}


def quantity(value, unit="mm[Hg]"):
    return {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}


PRESSURE = {
    "resourceType": "Observation",
    "status": "final",
    "code": concept("85354-9"),
    "component": [
        {"code": concept("8480-6"), "valueQuantity": quantity(150)},
        {"code": concept("8462-4"), "valueQuantity": quantity(80)},
    ],
}
RATE = {
    "resourceType": "Observation",
    "status": "final",
    "code": concept("8867-4"),
    "valueQuantity": quantity(60, "/min"),
}
SMOKER = {
    "resourceType": "Observation",
    "code": concept("72166-2"),
    "valueCodeableConcept": concept("never", "urn:smoking"),
}
WHEN = {"resourceType": "Observation", "code": concept("11778-8"), "valueDateTime": "2024-05-10"}
COLOUR = {"resourceType": "Observation", "code": concept("5778-6"), "valueString": "Amber, dark"}
SEQUENCE = {
    "resourceType": "MolecularSequence",
    "referenceSeq": {"chromosome": concept("1", "urn:chr"), "windowStart": 1, "windowEnd": 500},
    "variant": [{"start": 10, "end": 20}, {"start": 100, "end": 200}],
}
DOCUMENT = {
    "resourceType": "DocumentReference",
    "relatesTo": [
        {"code": "replaces", "target": {"reference": "DocumentReference/1"}},
        {"code": "appends", "target": {"reference": "DocumentReference/2"}},
    ],
}


@pytest.mark.parametrize(
    ("resource", "query", "expected"),
    [
        (PRESSURE, "component-code-value-quantity=http://loinc.org|8480-6$gt140", True),
        (PRESSURE, "component-code-value-quantity=8480-6$gt140", True),
        (PRESSURE, "component-code-value-quantity=8480-6$150|http://unitsofmeasure.org|mm[Hg]", True),
        (PRESSURE, "component-code-value-quantity=8480-6$150||mm[Hg]", True),
        (PRESSURE, "component-code-value-quantity=8480-6$150||kPa", False),
        (PRESSURE, "component-code-value-quantity=8462-4$gt140", False),  # 150 belongs to the other component
        (PRESSURE, "component-code-value-quantity=8462-4$gt140,8480-6$gt140", True),
        (PRESSURE, "component-code-value-quantity=http://loinc.org|$lt90", True),
        (PRESSURE, "component-code-value-quantity=|8480-6$gt140", False),  # the code has a system
        (PRESSURE, "combo-code-value-quantity=8480-6$gt140", True),
        (PRESSURE, "code-value-quantity=8480-6$gt140", False),  # that is about the observation's own value
        (RATE, "code-value-quantity=8867-4$60", True),
        (RATE, "code-value-quantity=8867-4$lt60", False),
        (RATE, "_filter=code-value-quantity eq 8867-4$60", True),
        (RATE, "_filter=code-value-quantity eq 8867-4$gt60", False),
        (RATE, "_filter=code-value-quantity ne 8867-4$61", True),
        (RATE, "combo-code-value-quantity=8867-4$60", True),
        (RATE, "component-code-value-quantity=8867-4$60", False),
        (SMOKER, "code-value-concept=72166-2$never", True),
        (SMOKER, "code-value-concept=72166-2$urn:smoking|never", True),
        (SMOKER, "code-value-concept=72166-2$current", False),
        (WHEN, "code-value-date=11778-8$2024-05", True),
        (WHEN, "code-value-date=11778-8$gt2024-05-09", True),
        (WHEN, "code-value-date=11778-8$2024-06", False),
        (COLOUR, "code-value-string=5778-6$amber", True),
        (COLOUR, "code-value-string=5778-6$dark", False),  # a string starts with the value
        (COLOUR, "code-value-string=5778-7$amber", False),
        (SEQUENCE, "chromosome-variant-coordinate=1$10$20", True),
        (SEQUENCE, "chromosome-variant-coordinate=urn:chr|1$lt50$gt15", True),
        (SEQUENCE, "chromosome-variant-coordinate=1$10$200", False),  # the end belongs to another variant
        (SEQUENCE, "chromosome-variant-coordinate=1$ge100$le200", True),
        (SEQUENCE, "chromosome-variant-coordinate=2$10$20", False),
        (SEQUENCE, "chromosome-window-coordinate=1$1$500", True),
        (DOCUMENT, "relationship=DocumentReference/1$replaces", True),
        (DOCUMENT, "relationship=1$replaces", True),
        (DOCUMENT, "relationship=DocumentReference/1$appends", False),  # it appends the other one
    ],
)
def test_matches(searcher, resource, query, expected):
    assert searcher.matches(resource, query) is expected


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("code-value-quantity", "8867-4", "2 values joined by $: code$value-quantity"),
        ("code-value-quantity", "a$1$2", "2 values joined by $"),
        ("code-value-quantity", "a$", "2 values joined by $"),
        ("code-value-quantity", "a$many", "number"),
        ("code-value-quantity:exact", "a$1", "takes no modifier"),
        ("code-value-quantity:missing", "true", "takes no modifier"),
    ],
)
def test_what_makes_no_sense(searcher, name, value, says):
    with pytest.raises(InvalidRequest) as raised:
        searcher.parse("Observation", (name, value))
    assert says in str(raised.value)


def test_an_escaped_separator_is_no_separator(searcher):
    resource = RATE | {"code": concept("a$b")}
    assert searcher.matches(resource, "code-value-quantity=a\\$b$60") is True
