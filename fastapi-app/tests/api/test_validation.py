"""Writes that are refused: what the answer says, and what a request may ask for."""

import copy
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import reduce
from operator import getitem
from random import Random
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from fhirserver.interactions.context import Validation
from fhirserver.web.app import build_app

from .building import URN, bundle, entry, observation, patient

LINE = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-line"
COLUMN = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-col"
WRONG = b"""{"resourceType": "Patient",
 "gender": "man",
 "name": [{"family": "x"},
          {"familia": "y"}],
 "birthDate": "2024-02-30"}"""


def told(issue: dict) -> tuple[str, str, tuple[int, int]]:
    position = {extension["url"]: extension["valueInteger"] for extension in issue["extension"]}
    assert issue["severity"] == "error"
    assert issue["details"]["text"] == issue["diagnostics"]
    return issue["code"], issue["expression"][0], (position[LINE], position[COLUMN])


async def test_all_issues_at_once_with_their_places(client):
    answer = await client.post("Patient", content=WRONG)
    assert answer.status_code == 422
    assert [told(issue) for issue in answer.json()["issue"]] == [
        ("code-invalid", "Patient.gender", (2, 2)),
        ("structure", "Patient.name[1].familia", (4, 12)),
        ("value", "Patient.birthDate", (5, 2)),
    ]


@pytest.mark.parametrize("kind", ["transaction", "batch"])
async def test_places_in_bundles(client, kind):
    entries = [entry("POST", "Patient", patient()), entry("POST", "Patient", patient(gender="man"))]
    entries[0]["request"]["ifNoneExists"] = "a=b"
    text = json.dumps(bundle(*entries, kind=kind))
    answer = await client.post("", content=text)
    assert answer.status_code == (422 if kind == "transaction" else 200)
    outcomes = [answer.json()]
    if kind == "batch":
        outcomes = [item["response"]["outcome"] for item in answer.json()["entry"]]
    assert [told(issue) for outcome in outcomes for issue in outcome["issue"]] == [
        ("structure", "Bundle.entry[0].request.ifNoneExists", (1, text.index('"ifNoneExists"') + 1)),
        ("code-invalid", "Bundle.entry[1].resource.gender", (1, text.index('"gender"') + 1)),
    ]


async def test_a_broken_body_has_a_position_too(client):
    issue = (await client.post("Patient", content=b'{"resourceType":\n "Patient" "x"}')).json()["issue"][0]
    assert told(issue | {"expression": [""]}) == ("structure", "", (2, 12))


async def test_what_is_in_a_batch_keeps_the_others_from_nothing(client):
    text = bundle(entry("POST", "Patient", patient()), entry("POST", "Patient", patient(x=1)), kind="batch")
    answer = (await client.post("", json=text)).json()
    assert [item["response"]["status"][:3] for item in answer["entry"]] == ["201", "422"]


@pytest.mark.parametrize(
    ("asked", "may_be_lowered", "status", "why"),
    [
        (None, False, 422, "strict, if nothing is said"),
        ("strict", False, 422, "strict"),
        ("structure", False, 400, "not without permission"),
        ("structure", True, 201, "the structure is right"),
        ("OFF", True, 201, "nothing is checked"),
        ("lax", True, 400, "there is no such mode"),
    ],
)
async def test_a_request_asks_how_thoroughly_it_is_checked(server, client, asked, may_be_lowered, status, why):
    server = replace(server, validation=Validation("strict", may_be_lowered))
    transport = httpx.ASGITransport(build_app(server, health_checks=None, software_version="test"))
    headers = {"Content-Type": "application/fhir+json"} | ({"X-FHIR-Validation": asked} if asked else {})
    async with httpx.AsyncClient(transport=transport, base_url="http://test/fhir", headers=headers) as asking:
        answer = await asking.post("Observation", json=observation("Basic/1"))
        assert answer.status_code == status, why
        answer = await asking.post("", json=bundle(entry("POST", "Observation", observation("Basic/1"))))
        assert answer.status_code == (200 if status == 201 else status), why


async def test_what_was_stored_unchecked_is_in_order_too(server, tag):
    """U+0000, which PostgreSQL's jsonb has not; and what only looks like it."""
    server = replace(server, validation=Validation("off"))
    transport = httpx.ASGITransport(build_app(server, health_checks=None, software_version="test"))
    async with httpx.AsyncClient(transport=transport, base_url="http://test/fhir") as trusting:
        for language in ("c", "a\x00\x00", "\\u0000", "\\\x00b", "b"):
            patient = {"resourceType": "Patient", "meta": {"tag": [{"code": tag}]}}
            patient["communication"] = [{"language": {"coding": [{"code": language}]}}]
            answer = await trusting.post("Patient", json=patient, headers={"Content-Type": "application/fhir+json"})
            assert answer.status_code == 201
        page = (await trusting.get(f"Patient?_tag={tag}&_sort=language")).json()
    codes = [entry["resource"]["communication"][0]["language"]["coding"][0]["code"] for entry in page["entry"]]
    assert codes == ["\\\x00b", "\\u0000", "a\x00\x00", "b", "c"]


JUNK = [
    None,
    True,
    5,
    1.5,
    "",
    "x",
    "a\x00b",
    "Patient/1",
    "2024-02-31",
    [],
    {},
    [[]],
    [None],
    {"a": {}},
    ["a", {"b": 1}],
]
JUNK += [
    {"reference": 5},
    {"reference": "x"},
    {"coding": "x"},
    {"coding": [5]},
    {"value": "x"},
    {"start": []},
    [{"x": [1]}],
]


def spots(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to all values in a resource."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, part in inner:
        yield (*path, step)
        yield from spots(part, (*path, step))


async def test_nothing_breaks_where_nothing_is_checked(server, client, rows):
    """Garbage of any kind, sent to a server that does not look: stored as it is, or refused with the place."""
    server = replace(server, validation=Validation("off"))
    transport = httpx.ASGITransport(build_app(server, health_checks=None, software_version="test"))
    headers = {"Content-Type": "application/fhir+json"}
    random = Random(4)
    statuses = Counter()
    async with httpx.AsyncClient(transport=transport, base_url="http://test/fhir", headers=headers) as trusting:
        for number in range(300):
            resource = copy.deepcopy(random.choice(WHOLE))
            for _ in range(random.choice((1, 2, 3))):
                *way, last = random.choice(list(spots(resource)))
                reduce(getitem, way, resource)[last] = copy.deepcopy(random.choice(JUNK))
            kind = str(resource.get("resourceType"))
            if number % 2:
                entries = [entry("POST", kind, resource), entry("POST", "Patient", patient(), f"{URN}1")]
                answer = await trusting.post("", json=bundle(*entries))
            else:
                answer = await trusting.post(quote(kind, safe=""), json=resource)
            assert answer.status_code in (200, 201, 400, 404, 422), (answer.text, resource)
            statuses[answer.status_code] += 1
    assert min(statuses[200], statuses[201], statuses[422]) > 10


WHOLE = [
    observation(f"{URN}1", effectivePeriod={"start": "2024", "end": "2025"}, valueQuantity={"value": 1, "unit": "kg"},
                identifier=[{"system": "urn:x", "value": "y"}], performer=[{"reference": "Practitioner/1"}],
                component=[{"code": {"coding": [{"system": "urn:x", "code": "y"}]}, "valueString": "z"}]),
    patient(name=[{"family": "x", "given": ["y", "z"]}], birthDate="1980-01-01", deceasedBoolean=False,
            telecom=[{"system": "phone", "value": "1"}], meta={"tag": [{"code": "x"}], "profile": ["http://x"]},
            contained=[{"resourceType": "Organization", "id": "o", "name": "x"}], managingOrganization={"reference": "#o"},
            text={"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}),
    {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}, "length": {"value": 5, "code": "min"},
     "subject": {"reference": f"{URN}1"}, "location": [{"location": {"reference": "Location/1"}}]},
]  # fmt: skip
