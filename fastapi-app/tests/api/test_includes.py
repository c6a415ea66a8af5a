"""`_include` and `_revinclude`. https://hl7.org/fhir/R4/search.html#include"""

from dataclasses import replace

import httpx
import pytest

from fhirserver.web.app import build_app

from .building import ids, observation, patient, tagged
from .conftest import _Checks


def organization(**elements):
    return {"resourceType": "Organization", "name": "x", **elements}


@pytest.fixture
async def chain(store_all, tag):
    """An observation of a patient of a ward of a hospital."""
    [hospital] = await store_all(organization())
    [ward] = await store_all(organization(partOf={"reference": f"Organization/{hospital}"}))
    [who] = await store_all(tagged(tag, managingOrganization={"reference": f"Organization/{ward}"}))
    [seen] = await store_all(observation(f"Patient/{who}", meta=tagged(tag)["meta"]))
    return {"hospital": hospital, "ward": ward, "patient": who, "observation": seen}


@pytest.mark.parametrize(
    ("query", "expected", "statements_run"),
    [
        ("Observation?_include=Observation:subject", {"patient"}, 2),
        ("Observation?_include=Observation:patient", {"patient"}, 2),
        ("Observation?_include=Observation:subject:Patient", {"patient"}, 2),
        ("Observation?_include=Observation:subject:Device", set(), 1),
        ("Observation?_include=Observation:performer", set(), 1),
        ("Observation?_include=Observation:*", {"patient"}, 2),
        ("Observation?_include=*", {"patient"}, 2),
        ("Observation?_include=Encounter:subject", set(), 1),
        ("Observation?_include=Observation:subject&_include=Patient:organization", {"patient"}, 2),
        ("Observation?_include=Observation:subject&_include:iterate=Patient:organization", {"patient", "ward"}, 3),
        (
            "Observation?_include=Observation:subject&_include:iterate=Patient:organization"
            "&_include:iterate=Organization:partof",
            {"patient", "ward", "hospital"},
            4,
        ),
        ("Patient?_revinclude=Observation:subject", {"observation"}, 2),
        ("Patient?_revinclude=Observation:*", {"observation"}, 2),
        ("Patient?_revinclude=Observation:subject:Group", set(), 1),
        ("Patient?_revinclude=Observation:subject&_include=Patient:organization", {"observation", "ward"}, 3),
    ],
)  # fmt: skip
async def test_what_comes_along(client, statements, chain, tag, query, expected, statements_run):
    statements.names.clear()
    bundle = (await client.get(f"{query}&_tag={tag}")).json()
    assert set(ids(bundle, "include")) == {chain[name] for name in expected}
    assert len(ids(bundle)) == bundle["total"] == 1
    assert len(statements.names) == statements_run, statements.names


async def test_back_and_back_again(client, chain):
    url = f"Organization?_id={chain['hospital']}&_revinclude=Organization:partof"
    url += "&_revinclude:iterate=Patient:organization&_revinclude:iterate=Observation:subject"
    bundle = (await client.get(url)).json()
    assert set(ids(bundle, "include")) == {chain[name] for name in ("ward", "patient", "observation")}


async def test_circles_end_and_nothing_comes_twice(client, store_all, tag):
    one, two = await store_all(tagged(tag), tagged(tag))
    for here, there in ((one, two), (two, one)):
        link = [{"other": {"reference": f"Patient/{there}"}, "type": "seealso"}]
        await client.put(f"Patient/{here}", json=tagged(tag, id=here, link=link))
    both = (await client.get(f"Patient?_tag={tag}&_include:iterate=Patient:link")).json()
    assert (sorted(ids(both)), ids(both, "include")) == (sorted([one, two]), [])
    single = (await client.get(f"Patient?_id={one}&_include:iterate=Patient:link")).json()
    assert (ids(single), ids(single, "include")) == ([one], [two])


async def test_references_of_several_forms(client, store_all, tag):
    first, second, gone = await store_all(*(organization() for _ in range(3)))
    await client.delete(f"Organization/{gone}")
    references = [
        f"Organization/{first}/_history/1",
        f"http://test/fhir/Organization/{second}",
        f"Organization/{gone}",
        "Organization/never-was",
        "http://elsewhere/fhir/Organization/1",
        "#inside",
    ]
    await store_all(
        tagged(
            tag,
            contained=[organization(id="inside")],
            generalPractitioner=[{"reference": reference} for reference in references],
        )
    )
    bundle = (await client.get(f"Patient?_tag={tag}&_include=Patient:general-practitioner")).json()
    assert set(ids(bundle, "include")) == {first, second}


async def test_too_many_are_refused(server, store_all):
    [who] = await store_all(patient())
    await store_all(*(observation(f"Patient/{who}") for _ in range(4)))
    small = replace(server, limits=replace(server.limits, max_includes=3))
    transport = httpx.ASGITransport(build_app(small, health_checks=_Checks(), software_version="test"))
    async with httpx.AsyncClient(transport=transport, base_url="http://test/fhir") as client:
        answer = await client.get(f"Patient?_id={who}&_revinclude=Observation:subject")
    assert answer.json()["issue"][0]["code"] == "too-costly"
    assert answer.status_code in (400, 403, 503)
