"""Searching over HTTP: paging, order, includes, totals, unknown parameters.

https://hl7.org/fhir/R4/search.html
"""

import random
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

MARK = "urn:test:search"


@pytest.fixture
def tag() -> str:
    """A tag that the resources of this test have, and no others."""
    return f"s{random.getrandbits(60)}"


def patient(tag: str, **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "meta": {"tag": [{"system": MARK, "code": tag}]}, **elements}


async def store(client: httpx.AsyncClient, *resources: dict[str, Any]) -> list[str]:
    """Create them, and give their ids."""
    ids = []
    for resource in resources:
        answer = await client.post(resource["resourceType"], json=resource)
        assert answer.status_code == 201, answer.text
        ids.append(answer.json()["id"])
    return ids


def ids(bundle: dict[str, Any], mode: str = "match") -> list[str]:
    return [entry["resource"]["id"] for entry in bundle.get("entry", []) if entry["search"]["mode"] == mode]


def link(bundle: dict[str, Any], relation: str) -> str | None:
    return next((item["url"] for item in bundle["link"] if item["relation"] == relation), None)


async def pages(client: httpx.AsyncClient, url: str) -> AsyncIterator[dict[str, Any]]:
    following: str | None = url
    while following is not None:
        answer = await client.get(following)
        assert answer.status_code == 200, answer.text
        yield answer.json()
        following = link(answer.json(), "next")


async def test_an_update_between_pages_neither_repeats_nor_loses_a_match(client, tag):
    stored = await store(client, *(patient(tag) for _ in range(6)))
    first = (await client.get(f"Patient?_tag={tag}&_count=3")).json()
    for id in stored:
        await client.put(f"Patient/{id}", json=patient(tag, id=id, active=True))
    second = (await client.get(link(first, "next"))).json()
    assert sorted(ids(first) + ids(second)) == sorted(stored)


async def test_a_cursor_is_good_for_its_search_only(client, tag):
    await store(client, *(patient(tag) for _ in range(3)))
    bundle = (await client.get(f"Patient?_tag={tag}&_count=1")).json()
    cursor = httpx.URL(link(bundle, "next")).params["_cursor"]
    assert (await client.get(f"Patient?_tag={tag}&_count=2&_cursor={cursor}")).status_code == 200
    for other in ("_tag=other", "_tag=other&_sort=family"):
        assert (await client.get(f"Patient?{other}&_cursor={cursor}")).status_code == 400


async def test_pages_of_a_search_that_depends_on_the_present(client, tag):
    stored = await store(client, *(patient(tag, birthDate="1990-01-02") for _ in range(3)))
    seen = [id async for page in pages(client, f"Patient?_tag={tag}&birthdate=ap1990&_count=1") for id in ids(page)]
    assert sorted(seen) == sorted(stored)


async def test_a_search_is_one_statement_and_one_more_for_each_level_of_includes(client, tag, statements):
    [mother] = await store(client, patient(tag))
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    observation |= {"meta": patient(tag)["meta"], "subject": {"reference": f"Patient/{mother}"}}
    await store(client, observation, observation)
    statements.names.clear()
    assert len(ids((await client.get(f"Observation?_tag={tag}")).json())) == 2
    assert statements.names == ["search"]
    statements.names.clear()
    bundle = (await client.get(f"Observation?_tag={tag}&_include=Observation:subject")).json()
    assert ids(bundle, "include") == [mother]
    assert statements.names == ["search", "read_many"]
    statements.names.clear()
    bundle = (await client.get(f"Patient?_id={mother}&_revinclude=Observation:subject")).json()
    assert len(ids(bundle, "include")) == 2
    assert statements.names == ["search", "search"]


async def test_unknown_parameters(client, tag):
    await store(client, patient(tag))
    url = f"Patient?_tag={tag}&dog=1"
    bundle = (await client.get(url, headers={"Prefer": "handling=lenient"})).json()
    assert len(ids(bundle)) == 1
    assert "dog" not in link(bundle, "self")
    [warning] = [entry for entry in bundle["entry"] if entry["search"]["mode"] == "outcome"]
    assert "dog" in warning["resource"]["issue"][0]["diagnostics"]
    assert (await client.get(url, headers={"Prefer": "handling=strict"})).status_code == 400


async def test_a_search_by_post_is_the_same_search(client, tag):
    await store(client, patient(tag, gender="male"), patient(tag, gender="female"))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await client.post("Patient/_search?gender=male", content=f"_tag={tag}", headers=form)
    assert answer.status_code == 200
    assert answer.json()["total"] == 1
    assert set(httpx.URL(link(answer.json(), "self")).params) == {"_tag", "gender"}


async def test_a_search_sees_what_was_answered_before_it(client, tag):
    for number in range(1, 6):
        await store(client, patient(tag))
        assert (await client.get(f"Patient?_tag={tag}")).json()["total"] == number


async def test_deleted_and_outdated_content_is_not_found(client, tag):
    one, two = await store(client, patient(tag, gender="male"), patient(tag, gender="male"))
    await client.delete(f"Patient/{one}")
    await client.put(f"Patient/{two}", json=patient(tag, id=two, gender="female"))
    assert (await client.get(f"Patient?_tag={tag}&gender=male")).json()["total"] == 0
    assert ids((await client.get(f"Patient?_tag={tag}&gender=female")).json()) == [two]


async def test_history_of_a_type_pages(client):
    await store(client, *({"resourceType": "Basic", "code": {"text": "x"}} for _ in range(5)))
    seen = set()
    number = 0
    async for page in pages(client, "Basic/_history?_count=2"):
        for entry in page["entry"]:
            address = (entry["fullUrl"], entry["response"]["etag"])
            assert address not in seen
            seen.add(address)
        number += 1
        if number == 3:
            break
    assert len(seen) >= 5


async def test_explained(client, tag):
    [id] = await store(client, patient(tag, birthDate="1980-02-03"))
    answer = await client.get(f"Patient?_tag={tag}&birthdate=gt1970&_explain=true")
    assert answer.status_code == 200, answer.text
    assert ids(answer.json()) == [id]
    told = dict(
        issue["diagnostics"].split(": ", 1)
        for entry in answer.json()["entry"]
        if entry["search"]["mode"] == "outcome"
        for issue in entry["resource"]["issue"]
    )
    assert told["tree"].startswith(f"Patient WHERE (_tag={tag} AND birthdate=gt1970[high > ")
    assert told["sql"].startswith("SELECT resource_type, id,")
    assert "Plan" in told["plan"]
    assert set(told) == {"tree", "sql", "shards", "indexes", "milliseconds", "plan"}


async def test_at_most_so_many_over_all_pages(client, tag):
    await store(client, *(patient(tag) for _ in range(6)))
    everything = ids((await client.get(f"Patient?_tag={tag}&_count=10")).json())
    seen, last = [], None
    async for page in pages(client, f"Patient?_tag={tag}&_count=2&_maxresults=5"):
        seen.append(ids(page))
        last = page
    assert seen == [everything[:2], everything[2:4], everything[4:5]]
    before = (await client.get(link(last, "previous"))).json()
    assert ids(before) == everything[2:4]
    assert ids((await client.get(link(before, "next"))).json()) == everything[4:5]


async def test_sorted_along_references(client, tag):
    people = await store(client, *(patient(tag, name=[{"family": name}]) for name in ("Bravo", "Alfa", "Charlie")))
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "meta": patient(tag)["meta"],
    }
    subjects = [{"subject": {"reference": f"Patient/{id}"}} for id in people]
    bravo, alfa, charlie, nobody = await store(client, *(observation | subject for subject in [*subjects, {}]))
    for sort, expected in (
        ("subject:Patient.family", [alfa, bravo, charlie, nobody]),
        ("-patient.family", [charlie, bravo, alfa, nobody]),  # what is missing comes last
        ("subject.family,-_id", [alfa, bravo, charlie, nobody]),
    ):
        found = [
            id async for page in pages(client, f"Observation?_tag={tag}&_sort={sort}&_count=2") for id in ids(page)
        ]
        assert found == expected, sort


async def test_sorted_by_what_is_computed(client, tag):
    alive, dead = await store(client, patient(tag), patient(tag, deceasedBoolean=True))
    for sort, expected in (("deceased", [alive, dead]), ("-deceased", [dead, alive])):
        found = ids((await client.get(f"Patient?_tag={tag}&_sort={sort}")).json())
        assert found == expected


async def test_everything_that_refers(client, tag):
    [mother] = await store(client, patient(tag))
    reference = {"reference": f"Patient/{mother}"}
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": reference}
    related = {"resourceType": "RelatedPerson", "patient": reference}
    stored = await store(client, observation, related)
    bundle = (await client.get(f"Patient?_tag={tag}&_revinclude=*")).json()
    assert sorted(ids(bundle, "include")) == sorted(stored)
