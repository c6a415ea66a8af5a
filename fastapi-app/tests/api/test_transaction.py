"""Transactions and batches over HTTP.

https://hl7.org/fhir/R4/http.html#transaction
"""

import asyncio
import json
import random
from typing import Any

import httpx
import pytest

from fhirserver.fhir.datatypes.ids import home_bucket

URN = "urn:uuid:00000000-0000-4000-8000-00000000000"


def unique() -> str:
    return f"t-{random.getrandbits(60)}"


def entry(method: str, url: str, resource: Any = None, full_url: str | None = None, **request: str) -> dict[str, Any]:
    made: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    if full_url is not None:
        made["fullUrl"] = full_url
    return made if resource is None else made | {"resource": resource}


async def send(client: httpx.AsyncClient, *entries: dict[str, Any], kind: str = "transaction", **headers: str):
    bundle = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
    return await client.post("", content=json.dumps(bundle).encode(), headers=headers)


def patient(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **elements}


def observation(subject: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": subject},
        **elements,
    }


def locations(answer: httpx.Response) -> list[str]:
    """`Type/id` of each entry."""
    assert answer.status_code == 200, answer.text
    return ["/".join(item["response"]["location"].split("/")[:2]) for item in answer.json()["entry"]]


async def test_references_between_entries_are_resolved_everywhere(client):
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{URN}1">who</a><img src=\'{URN}1\'/></div>'
    answer = await send(
        client,
        entry(
            "POST",
            "Observation",
            observation(
                f"{URN}1",
                text={"status": "generated", "div": div},
                identifier=[{"system": "urn:ietf:rfc:3986", "value": f"{URN}1"}],
                extension=[{"url": "http://x", "valueUri": f"{URN}1"}, {"url": "http://x", "valueString": f"{URN}1"}],
            ),
            f"{URN}2",
        ),
        entry("POST", "Patient", patient(), f"{URN}1"),
        entry(
            "POST",
            "Observation",
            observation("Patient/old", focus=[{"reference": "Observation/2"}]),
            "http://a/b/Observation/1",
        ),
        entry("POST", "Observation", observation("http://a/b/Patient/old"), "http://a/b/Observation/2"),
        entry("POST", "Patient", patient(), "http://a/b/Patient/old"),
    )
    first, who, third, fourth, old = locations(answer)
    stored = (await client.get(first)).json()
    assert stored["subject"] == {"reference": who}
    assert f'href="{who}"' in stored["text"]["div"]
    assert f"src='{who}'" in stored["text"]["div"]
    assert stored["extension"] == [{"url": "http://x", "valueUri": who}, {"url": "http://x", "valueString": f"{URN}1"}]
    assert stored["identifier"][0]["value"] == f"{URN}1"
    assert (await client.get(third)).json()["subject"] == {"reference": old}
    assert (await client.get(third)).json()["focus"] == [{"reference": fourth}]
    assert (await client.get(fourth)).json()["subject"] == {"reference": old}


async def test_a_patients_entries_are_in_one_bucket_and_a_fixed_number_of_statements(client, statements, store):
    for size in (5, 200):
        statements.names.clear()
        entries = [entry("POST", "Observation", observation(f"{URN}1")) for _ in range(size)]
        answer = await send(client, entry("POST", "Patient", patient(), f"{URN}1"), *entries)
        assert statements.names == ["copy"]
        addresses = [tuple(address.split("/")) for address in locations(answer)]
        assert len({home_bucket(id) for _, id in addresses}) == 1
        assert len({found.bucket for found in (await store.read_many(addresses)).values()}) == 1


async def test_five_thousand_entries(client):
    answer = await send(
        client, *(entry("POST", "Basic", {"resourceType": "Basic", "code": {"text": "x"}}) for _ in range(5000))
    )
    assert answer.status_code == 200
    assert len(answer.json()["entry"]) == 5000


async def test_all_or_nothing(client):
    id = unique()
    answer = await send(
        client,
        entry("PUT", f"Patient/{id}", patient(id=id)),
        entry("PUT", "Patient/other", patient(id="other"), ifMatch='W/"77"'),
    )
    assert answer.status_code == 412
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[1]"]
    assert (await client.get(f"Patient/{id}")).status_code == 404


async def test_the_order_is_delete_post_put_get(client):
    id, tag = unique(), unique()
    await client.put(f"Patient/{id}", json=patient(id=id))
    value = {"identifier": [{"system": "urn:t", "value": tag}]}
    answer = await send(
        client,
        entry("GET", f"Patient?identifier=urn:t|{tag}"),
        entry("GET", f"Patient/{id}"),
        entry("POST", "Patient", patient(**value)),
        entry("PUT", f"Patient/{id}", patient(id=id, gender="other")),
        Prefer="return=representation",
    )
    search, read, posted, put = answer.json()["entry"]
    assert search["resource"]["total"] == 1
    assert read["resource"]["gender"] == "other"
    assert posted["response"]["status"].startswith("201")
    assert put["response"]["etag"] == 'W/"2"'
    deleted = await send(client, entry("GET", f"Patient/{id}/_history"), entry("DELETE", f"Patient/{id}"))
    history, gone = deleted.json()["entry"]
    assert len(history["resource"]["entry"]) == 3
    assert gone["response"]["status"].startswith("204")


async def test_conditional_entries_and_references(client):
    value = unique()
    named = patient(identifier=[{"system": "urn:t", "value": value}])
    criteria = f"identifier=urn:t|{value}"
    first = await send(
        client,
        entry("POST", "Patient", named, f"{URN}1", ifNoneExist=criteria),
        entry("POST", "Observation", observation(f"{URN}1")),
    )
    who, seen = locations(first)
    again = await send(
        client,
        entry("POST", "Patient", named, f"{URN}1", ifNoneExist=criteria),
        entry("POST", "Observation", observation(f"{URN}1")),
        entry("POST", "Observation", observation(f"Patient?{criteria}")),
    )
    same, *others = locations(again)
    assert same == who
    assert again.json()["entry"][0]["response"]["status"].startswith("200")
    for address in others:
        assert (await client.get(address)).json()["subject"] == {"reference": who}
    changed = await send(client, entry("PUT", f"Patient?{criteria}", named | {"gender": "male"}))
    assert locations(changed) == [who]
    removed = await send(
        client, entry("DELETE", f"Observation?_id={seen.split('/')[1]}"), entry("DELETE", "Patient?_id=nobody-at-all")
    )
    assert [item["response"]["status"][:3] for item in removed.json()["entry"]] == ["204", "204"]
    assert (await client.get(seen)).status_code == 410


async def test_a_batch_does_each_entry_for_itself(client):
    id = unique()
    answer = await send(
        client,
        entry("PUT", f"Patient/{id}", patient(id=id)),
        entry("GET", "Patient/nobody-here"),
        entry("POST", "Patient", patient(nonsense=1)),
        entry("POST", "Patient", patient()),
        entry("FETCH", "Patient"),
        {"resource": patient()},
        entry("GET", "Patient?name:dog=x"),
        kind="batch",
    )
    assert answer.status_code == 200
    statuses = [item["response"]["status"][:3] for item in answer.json()["entry"]]
    assert statuses == ["201", "404", "422", "201", "400", "400", "400"]
    outcome = answer.json()["entry"][2]["response"]["outcome"]
    assert outcome["issue"][0]["expression"] == ["Bundle.entry[2].resource.nonsense"]
    assert (await client.get(f"Patient/{id}")).status_code == 200


@pytest.mark.parametrize("path", ["http", "transaction"])
async def test_of_many_conditional_creates_at_once_one_creates(client, path):
    value = unique()
    named = patient(identifier=[{"system": "urn:t", "value": value}])
    criteria = f"identifier=urn:t|{value}"

    async def create() -> str:
        if path == "http":
            answer = await client.post("Patient", json=named, headers={"If-None-Exist": criteria})
            assert answer.status_code in {200, 201}
            return f"Patient/{answer.json()['id']}"
        return locations(await send(client, entry("POST", "Patient", named, ifNoneExist=criteria)))[0]

    assert len(set(await asyncio.gather(*(create() for _ in range(12))))) == 1
    assert (await client.get(f"Patient?{criteria}")).json()["total"] == 1


@pytest.mark.parametrize("path", ["http", "transaction"])
async def test_other_spellings_of_the_criteria_create_no_duplicates(client, path):
    value = unique()
    named = patient(active=True, identifier=[{"system": "urn:t", "value": value}])
    spellings = [
        f"identifier=urn:t|{value.lower()}&active=true",
        f"identifier=urn:t|{value.upper()}&active=true",
        f"active=true&identifier=urn:t|{value}",
        f"active=TRUE&identifier=urn:t|{value}&active=true",
    ]

    async def create(criteria: str) -> None:
        if path == "http":
            answer = await client.post("Patient", json=named, headers={"If-None-Exist": criteria})
            assert answer.status_code in {200, 201}
        else:
            await send(client, entry("POST", "Patient", named, ifNoneExist=criteria))

    await asyncio.gather(*(create(criteria) for criteria in spellings * 3))
    assert (await client.get(f"Patient?identifier=urn:t|{value}&_total=accurate")).json()["total"] == 1


async def test_of_many_guarded_updates_at_once_one_wins(client):
    id = unique()
    await client.put(f"Patient/{id}", json=patient(id=id))

    async def update(number: int) -> int:
        body = patient(id=id, multipleBirthInteger=number)
        return (await client.put(f"Patient/{id}", json=body, headers={"If-Match": 'W/"1"'})).status_code

    assert sorted(await asyncio.gather(*(update(number) for number in range(10)))) == [200] + [412] * 9


async def test_unguarded_updates_at_once_follow_each_other(client):
    id = unique()
    answers = await asyncio.gather(
        *(client.put(f"Patient/{id}", json=patient(id=id, multipleBirthInteger=n)) for n in range(10))
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
    history = (await client.get(f"Patient/{id}/_history")).json()["entry"]
    assert [item["resource"]["meta"]["versionId"] for item in history] == [str(n) for n in range(10, 0, -1)]
    assert {item["resource"]["multipleBirthInteger"] for item in history} == set(range(10))


@pytest.mark.parametrize("path", ["http", "transaction"])
async def test_one_client_id_with_several_patients_is_one_resource(client, path, pool):
    id = unique()
    patients = locations(await send(client, *(entry("POST", "Patient", patient()) for _ in range(6))))

    async def put(who: str) -> None:
        body = observation(who, id=id)
        if path == "http":
            assert (await client.put(f"Observation/{id}", json=body)).status_code in {200, 201}
        else:
            assert (await send(client, entry("PUT", f"Observation/{id}", body))).status_code == 200

    await asyncio.gather(*(put(who) for who in patients))
    history = (await client.get(f"Observation/{id}/_history")).json()["entry"]
    assert [item["resource"]["meta"]["versionId"] for item in history] == [str(n) for n in range(6, 0, -1)]
    assert {item["resource"]["subject"]["reference"] for item in history} == set(patients)
    async with pool.connection() as driver:
        live = await driver.fetchval("SELECT count(*) FROM resource WHERE id = $1 AND content IS NOT NULL", id)
    assert live == 1
