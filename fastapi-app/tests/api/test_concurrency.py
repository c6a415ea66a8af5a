"""Writers at the same time: conditional creates, guarded and unguarded updates, client ids, transactions.

https://hl7.org/fhir/R4/http.html#concurrency
"""

import asyncio
import random
from collections import Counter

import pytest

from .building import URN, criteria, entry, named, observation, patient, unique


@pytest.fixture(params=["http", "transaction", "batch", "both"])
def write(request, client, send):
    """Writes by one request, in one of the ways there are; status and `Type/id`."""

    async def write(method, url, resource=None, **conditions):
        path = random.choice(("http", "transaction")) if request.param == "both" else request.param
        if path == "http":
            names = {"ifNoneExist": "If-None-Exist", "ifMatch": "If-Match", "ifNoneMatch": "If-None-Match"}
            headers = {names[name]: value for name, value in conditions.items()}
            answer = await client.request(method, url, json=resource, headers=headers)
            where = answer.headers.get("location", "").removeprefix("http://test/fhir/")
            return answer.status_code, "/".join(where.split("/")[:2])
        answer = await send(entry(method, url, resource, **conditions), kind=path)
        if answer.status_code != 200:
            return answer.status_code, ""
        response = answer.json()["entry"][0]["response"]
        return int(response["status"][:3]), "/".join(response.get("location", "").split("/")[:2])

    return write


async def test_of_many_conditional_creates_one_creates(client, write):
    value = unique()
    answers = await asyncio.gather(
        *(write("POST", "Patient", named(value), ifNoneExist=criteria(value)) for _ in range(12))
    )
    assert Counter(status for status, _ in answers) == {201: 1, 200: 11}
    assert len({where for _, where in answers}) == 1
    assert (await client.get(f"Patient?{criteria(value)}")).json()["total"] == 1


async def test_other_spellings_of_the_criteria_create_no_duplicates(client, write):
    value = unique()
    body = named(value, active=True)
    spellings = [
        f"{criteria(value.lower())}&active=true",
        f"{criteria(value.upper())}&active=true",
        f"active=true&{criteria(value)}",
        f"active=TRUE&{criteria(value)}&active=true",
    ]
    answers = await asyncio.gather(*(write("POST", "Patient", body, ifNoneExist=by) for by in spellings * 3))
    assert Counter(status for status, _ in answers) == {201: 1, 200: 11}
    assert (await client.get(f"Patient?{criteria(value)}&_total=accurate")).json()["total"] == 1


async def test_of_many_conditional_updates_one_creates_and_all_are_versions(client, write):
    value = unique()
    answers = await asyncio.gather(
        *(write("PUT", f"Patient?{criteria(value)}", named(value, multipleBirthInteger=n)) for n in range(8))
    )
    assert Counter(status for status, _ in answers) == {201: 1, 200: 7}
    [where] = {where for _, where in answers}
    history = (await client.get(f"{where}/_history")).json()["entry"]
    assert {item["resource"]["multipleBirthInteger"] for item in history} == set(range(8))


async def test_of_many_guarded_updates_one_wins(client, write):
    id = unique()
    await client.put(f"Patient/{id}", json=patient(id=id))
    updates = (
        write("PUT", f"Patient/{id}", patient(id=id, multipleBirthInteger=number), ifMatch='W/"1"')
        for number in range(10)
    )
    assert Counter(status for status, _ in await asyncio.gather(*updates)) == {200: 1, 412: 9}
    assert (await client.get(f"Patient/{id}")).headers["etag"] == 'W/"2"'


async def test_of_many_guarded_deletes_and_updates_one_wins(client, write):
    id = unique()
    await client.put(f"Patient/{id}", json=patient(id=id))
    answers = await asyncio.gather(
        *(
            write("DELETE", f"Patient/{id}", ifMatch='W/"1"')
            if number % 2
            else write("PUT", f"Patient/{id}", patient(id=id), ifMatch='W/"1"')
            for number in range(8)
        )
    )
    statuses = Counter(status for status, _ in answers)
    assert statuses[412] == 7
    assert statuses[200] + statuses[204] == 1
    assert len((await client.get(f"Patient/{id}/_history")).json()["entry"]) == 2


async def test_of_many_that_may_only_create_one_does(client, write):
    id = unique()
    answers = await asyncio.gather(*(write("PUT", f"Patient/{id}", patient(id=id), ifNoneMatch="*") for _ in range(8)))
    assert Counter(status for status, _ in answers) == {201: 1, 412: 7}


async def test_a_counter_counts_every_guarded_update(client, write):
    id = unique()
    await client.put(f"Patient/{id}", json=patient(id=id, multipleBirthInteger=0))

    async def add_one() -> None:
        while True:
            answer = await client.get(f"Patient/{id}")
            number = answer.json()["multipleBirthInteger"] + 1
            body = patient(id=id, multipleBirthInteger=number)
            status, _ = await write("PUT", f"Patient/{id}", body, ifMatch=answer.headers["etag"])
            assert status in (200, 412)
            if status == 200:
                return

    await asyncio.gather(*(add_one() for _ in range(8)))
    assert (await client.get(f"Patient/{id}")).json()["multipleBirthInteger"] == 8


async def test_unguarded_updates_follow_each_other(client, write):
    id = unique()
    answers = await asyncio.gather(
        *(write("PUT", f"Patient/{id}", patient(id=id, multipleBirthInteger=number)) for number in range(10))
    )
    assert Counter(status for status, _ in answers) == {200: 9, 201: 1}
    history = (await client.get(f"Patient/{id}/_history")).json()["entry"]
    assert [item["resource"]["meta"]["versionId"] for item in history] == [str(n) for n in range(10, 0, -1)]
    assert {item["resource"]["multipleBirthInteger"] for item in history} == set(range(10))


async def test_one_client_id_with_several_patients_is_one_resource(client, write, store_all, pool):
    id = unique()
    patients = await store_all(*(patient() for _ in range(6)))
    answers = await asyncio.gather(
        *(write("PUT", f"Observation/{id}", observation(f"Patient/{who}", id=id)) for who in patients)
    )
    assert Counter(status for status, _ in answers) == {200: 5, 201: 1}
    history = (await client.get(f"Observation/{id}/_history")).json()["entry"]
    assert [item["resource"]["meta"]["versionId"] for item in history] == [str(n) for n in range(6, 0, -1)]
    assert {item["resource"]["subject"]["reference"] for item in history} == {f"Patient/{who}" for who in patients}
    async with pool.connection() as driver:
        live = await driver.fetchval("SELECT count(*) FROM resource WHERE id = $1 AND content IS NOT NULL", id)
        rows = await driver.fetchval("SELECT count(*) FROM resource WHERE id = $1", id)
    assert (live, rows <= 2) == (1, True)


async def test_moves_to_and_fro_end_with_one_resource(client, write, store_all, create):
    patients = await store_all(*(patient() for _ in range(3)))
    id = (await create(observation(f"Patient/{patients[0]}"))).json()["id"]
    answers = await asyncio.gather(
        *(write("PUT", f"Observation/{id}", observation(f"Patient/{patients[n % 3]}", id=id)) for n in range(9))
    )
    assert Counter(status for status, _ in answers) == {200: 9}
    history = (await client.get(f"Observation/{id}/_history")).json()["entry"]
    assert [item["resource"]["meta"]["versionId"] for item in history] == [str(n) for n in range(10, 0, -1)]
    found = [(await client.get(f"Observation?patient={who}")).json()["total"] for who in patients]
    assert sorted(found) == [0, 0, 1]


async def test_transactions_over_the_same_resources_in_other_orders_all_succeed(client, send, store_all):
    one, two = await store_all(patient(), patient())
    ids = await store_all(*(observation(f"Patient/{one}") for _ in range(5)))

    async def change(number: int) -> int:
        order = random.Random(number).sample(ids, len(ids))
        who = (one, two)[number % 2]
        return (
            await send(*(entry("PUT", f"Observation/{id}", observation(f"Patient/{who}", id=id)) for id in order))
        ).status_code

    assert set(await asyncio.gather(*(change(number) for number in range(6)))) == {200}
    for id in ids:
        assert (await client.get(f"Observation/{id}")).headers["etag"] == 'W/"7"'
    total = [(await client.get(f"Observation?patient={who}")).json()["total"] for who in (one, two)]
    assert sorted(total) == [0, 5]


async def test_a_transaction_is_seen_as_a_whole(client, send, store_all, on_citus):
    if on_citus:
        pytest.skip("NOT ON CITUS: it has no snapshot across shards, and these are two patients")
    ids = await store_all(patient(active=True), patient(active=True))
    done = False

    async def flip() -> None:
        nonlocal done
        for number in range(15):
            state = bool(number % 2)
            answer = await send(*(entry("PUT", f"Patient/{id}", patient(id=id, active=state)) for id in ids))
            assert answer.status_code == 200
        done = True

    async def look() -> None:
        while not done:
            found = (await client.get(f"Patient?_id={','.join(ids)}")).json()["entry"]
            assert len({item["resource"]["active"] for item in found}) == 1

    await asyncio.gather(flip(), look(), look())


async def test_many_loads_with_the_same_practitioners(client, send):
    doctors = [unique() for _ in range(4)]

    async def load(number: int) -> int:
        chosen = random.Random(number).sample(doctors, len(doctors))
        people = [
            entry(
                "POST",
                "Practitioner",
                {"resourceType": "Practitioner", "identifier": named(value)["identifier"]},
                ifNoneExist=criteria(value),
            )
            for value in chosen
        ]
        seen = [entry("POST", "Observation", observation(f"{URN}1")) for _ in range(5)]
        return (await send(*people, entry("POST", "Patient", patient(), f"{URN}1"), *seen)).status_code

    assert set(await asyncio.gather(*(load(number) for number in range(10)))) == {200}
    for value in doctors:
        assert (await client.get(f"Practitioner?{criteria(value)}")).json()["total"] == 1
