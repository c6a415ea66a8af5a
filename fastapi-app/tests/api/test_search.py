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


DATES = ["1990-05-01", "1980-01-01", None, "1990-05-01", "2001-12", None, "1970"]
NAMES = ["Ábel", "zoe", None, "Bea", "abel", None, "Carl"]
ORDERS = {
    "": None,
    "_sort=_id": None,
    "_sort=-_lastUpdated": None,
    "_sort=birthdate": [6, 1, 0, 3, 4, 2, 5],  # 1970, 1980, 1990 twice, 2001-12, and the two without at the end
    "_sort=-birthdate": [4, 3, 0, 1, 6, 5, 2],  # equal ones are in the order of the id, which is reversed too
    "_sort=family": [0, 4, 3, 6, 1, 2, 5],  # without accents and case: abel, abel, bea, carl, zoe
    "_sort=-family": [1, 6, 3, 4, 0, 5, 2],
    "_sort=gender,birthdate": [6, 0, 4, 2, 1, 3, 5],  # female 0 2 4 6, male 1 3 5
    "_sort=-gender,-birthdate": [3, 1, 5, 4, 0, 6, 2],
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("count", [1, 2, 3, 100])
async def test_pages_give_each_match_once_in_order(client, tag, order, count):
    resources = []
    for number, (date, name) in enumerate(zip(DATES, NAMES, strict=True)):
        resource = patient(tag, gender="male" if number % 2 else "female")
        if date:
            resource["birthDate"] = date
        if name:
            resource["name"] = [{"family": name}]
        resources.append(resource)
    stored = await store(client, *resources)
    seen: list[str] = []
    previous: list[list[str]] = []
    async for page in pages(client, f"Patient?_tag={MARK}|{tag}&_count={count}&{order}"):
        back = link(page, "previous")
        assert (back is not None) == bool(previous)
        if back is not None:
            assert ids((await client.get(back)).json()) == previous[-1]
        previous.append(ids(page))
        seen += ids(page)
        await store(client, {"resourceType": "Patient"})  # others write meanwhile
    assert sorted(seen) == sorted(stored)
    expected = ORDERS[order]
    if expected is not None:
        keys = [(DATES[i], (NAMES[i] or "").casefold().replace("á", "a"), i % 2) for i in range(7)]
        assert [keys[stored.index(id)] for id in seen] == [keys[number] for number in expected]


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


async def test_totals(client, tag):
    await store(client, *(patient(tag) for _ in range(5)))
    url = f"Patient?_tag={tag}"
    assert (await client.get(url)).json()["total"] == 5  # all are on the page
    assert "total" not in (await client.get(f"{url}&_count=2")).json()
    assert (await client.get(f"{url}&_count=2&_total=accurate")).json()["total"] == 5
    assert isinstance((await client.get(f"{url}&_count=2&_total=estimate")).json()["total"], int)
    for counting in ("_count=0", "_summary=count"):
        bundle = (await client.get(f"{url}&{counting}")).json()
        assert bundle["total"] == 5
        assert "entry" not in bundle


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


async def test_includes(client, tag):
    [organization] = await store(client, {"resourceType": "Organization", "active": True})
    [doctor] = await store(client, {"resourceType": "Practitioner", "active": True})
    [who] = await store(client, patient(tag, managingOrganization={"reference": f"Organization/{organization}"}))
    encounter = {
        "resourceType": "Encounter",
        "meta": patient(tag)["meta"],
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": f"Patient/{who}"},
        "participant": [{"individual": {"reference": f"Practitioner/{doctor}"}}],
    }
    await store(client, encounter)
    url = f"Encounter?_tag={tag}"
    for include, expected in {
        "_include=Encounter:subject": {who},
        "_include=Encounter:subject:Group": set(),
        "_include=Encounter:participant": {doctor},
        "_include=Encounter:*": {who, doctor},
        "_include=*": {who, doctor},
        "_include=Encounter:subject&_include:iterate=Patient:organization": {who, organization},
        "_include=Encounter:subject&_include=Patient:organization": {who},
    }.items():
        bundle = (await client.get(f"{url}&{include}")).json()
        assert set(ids(bundle, "include")) == expected, include
        assert len(ids(bundle)) == 1


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
