"""Where in the text the place of an issue is."""

import json

import pytest

from fhirserver.fhir.outcomes import Issue
from fhirserver.fhir.validation.positions import located

TEXT = """{
  "resourceType": "Patient",
  "name": [{"given": ["a",
                      "b"]}, {
      "family" : "c"}],
  "birthDate":
    "x", "_birthDate": {"extension":
      [{"url": "y"}]},
  "a.b": {"c[0]": 1}, "ñ": "😀", "active": 1
}
"""


def position(place: str, text: str = TEXT, within: str = "") -> tuple[int, int] | None:
    (issue,) = located([Issue("error", "value", "x", (place,))], text.encode(), within)
    return issue.position


@pytest.mark.parametrize(
    ("place", "found", "why"),
    [
        ("Patient", (1, 1), "the resource"),
        ("Patient.resourceType", (2, 3), "the name of a property"),
        ("Patient.name", (3, 3), "the name of an array"),
        ("Patient.name[0]", (3, 12), "an item"),
        ("Patient.name[0].given[0]", (3, 23), "an item that is a string"),
        ("Patient.name[0].given[1]", (4, 23), "the next line"),
        ("Patient.name[1].family", (5, 7), "in the second item"),
        ("Patient.name[1].given", (4, 30), "what is missing is where it should be"),
        ("Patient.name[7].given", (3, 3), "so is an item that is not there"),
        ("Patient.birthDate", (6, 3), "a primitive"),
        ("Patient.birthDate.extension[0].url", (8, 9), "in the partner of a primitive"),
        ("Patient.birthDate.extension[0]", (8, 8), "in the partner of a primitive"),
        ("Patient.a.b", (1, 1), "a name that is no name of FHIR: the nearest element"),
        ("Patient.active", (9, 33), "columns count characters"),
        ("gender", None, "no place in a resource"),
        ("", None, "no place"),
    ],
)
def test_position(place: str, found: tuple[int, int] | None, why: str) -> None:
    assert position(place) == found, why


def test_in_one_line_and_after_a_byte_order_mark() -> None:
    text = json.dumps({"resourceType": "Patient", "x": [[{"y": 1}]], "gender": 5})
    assert position("Patient.gender", text) == (1, text.index('"gender"') + 1)
    assert position("Patient.gender", "\ufeff" + text) == (1, text.index('"gender"') + 1)


def test_a_resource_within_another() -> None:
    text = '{"resourceType":"Parameters","parameter":[{"name":"resource","resource":\n {"id":"x","gender":5}}]}'
    assert position("Patient.gender", text, within="Parameters.parameter[0].resource") == (2, 12)


def test_many_issues_in_a_long_text_take_one_pass() -> None:
    entries = [{"resource": {"resourceType": "Patient", "name": [{"given": ["x"] * 10}] * 10}} for _ in range(5000)]
    text = json.dumps({"resourceType": "Bundle", "entry": entries}, indent=1)
    places = [f"Bundle.entry[{4900 + n}].resource.name[9].given[9]" for n in range(100)]
    issues = located([Issue("error", "value", "x", (place,)) for place in places], text.encode())
    lines = text.splitlines()
    assert all(issue.position is not None and '"x"' in lines[issue.position[0] - 1] for issue in issues)
    assert len({issue.position for issue in issues}) == 100
