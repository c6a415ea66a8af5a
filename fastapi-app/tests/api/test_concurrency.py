"""Writers at the same time: conditional creates, guarded and unguarded updates, client ids, transactions.

https://hl7.org/fhir/R4/http.html#concurrency
"""

import asyncio

import pytest

from .building import entry, observation, patient, unique


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
