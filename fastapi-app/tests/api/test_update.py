"""Update over HTTP: new versions, creation under the client's id, guards, moves.

https://hl7.org/fhir/R4/http.html#update
"""

import pytest

from fhirserver.fhir.datatypes.ids import home_bucket

from .building import observation, patient, unique


async def test_an_update_makes_a_version_and_the_old_one_stays(timed, clock, statements):
    first = (await timed.post("Patient", json=patient(gender="male"))).json()
    address = f"Patient/{first['id']}"
    clock.go_on(minutes=1)
    statements.names.clear()
    answer = await timed.put(address, json=first | {"gender": "female"})
    assert statements.names == ["read", "replace"]
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')
    assert answer.headers["last-modified"] == "Sat, 31 Jan 2026 09:31:00 GMT"
    assert answer.json()["meta"] == {"versionId": "2", "lastUpdated": "2026-01-31T09:31:00.123Z"}
    assert (await timed.get(address)).content == answer.content
    assert (await timed.get(f"{address}/_history/1")).json() == first


async def test_versions_are_in_order_whatever_the_clock_says(timed, clock):
    first = (await timed.post("Patient", json=patient())).json()
    clock.go_on(seconds=-10)
    second = (await timed.put(f"Patient/{first['id']}", json=first)).json()
    third = (await timed.put(f"Patient/{first['id']}", json=first)).json()
    stamps = [version["meta"]["lastUpdated"] for version in (first, second, third)]
    assert stamps == ["2026-01-31T09:30:00.123Z", "2026-01-31T09:30:00.124Z", "2026-01-31T09:30:00.125Z"]


async def test_an_update_creates_under_the_clients_id(client, statements):
    id = unique()
    statements.names.clear()
    answer = await client.put(f"Patient/{id}", json=patient(id=id))
    assert answer.status_code == 201
    assert answer.headers["location"] == f"http://test/fhir/Patient/{id}/_history/1"
    assert statements.names == ["read", "insert"]
    assert (await client.put(f"Patient/{id}", json=patient(id=id))).status_code == 200


@pytest.mark.parametrize("id", ["a", "-", ".", "..", "A.b-9", "x" * 64, "01a20d23-c131-737e-a658-a1e008ab8c05"])
async def test_every_id_of_r4_can_be_given(client, id):
    answer = await client.put(f"http://test/fhir/Basic/{id.replace('.', '%2E')}", json={
        "resourceType": "Basic", "id": id, "code": {"text": "x"}
    })  # fmt: skip
    assert answer.status_code in (200, 201), answer.text
    assert (await client.get(f"http://test/fhir/Basic/{id.replace('.', '%2E')}")).json()["id"] == id


async def test_one_id_in_two_types_is_two_resources(client):
    id = unique()
    await client.put(f"Patient/{id}", json=patient(id=id))
    await client.put(f"Observation/{id}", json=observation(id=id))
    await client.delete(f"Patient/{id}")
    assert (await client.get(f"Observation/{id}")).json()["resourceType"] == "Observation"


@pytest.mark.parametrize(
    ("if_match", "status"),
    [
        ('W/"1"', 200),
        ('"1"', 200),
        ("1", 200),
        ('W/"9", W/"1"', 200),
        ("*", 200),
        ('W/"2"', 412),
        ('W/"01"', 412),
        ('W/"x"', 412),
    ],
)
async def test_if_match_guards_updates_and_deletes(client, create, if_match, status):
    guard = {"If-Match": if_match}
    body = (await create(patient())).json()
    assert (await client.put(f"Patient/{body['id']}", json=body, headers=guard)).status_code == status
    body = (await create(patient())).json()
    deleted = await client.delete(f"Patient/{body['id']}", headers=guard)
    assert deleted.status_code == (204 if status == 200 else status)


async def test_if_match_does_not_create(client):
    id = unique()
    for guard in ("*", 'W/"1"', 'W/"0"'):
        answer = await client.put(f"Patient/{id}", json=patient(id=id), headers={"If-Match": guard})
        assert answer.status_code == 412
    assert (await client.get(f"Patient/{id}")).status_code == 404


async def test_if_none_match_star_only_creates(client):
    id = unique()
    headers = {"If-None-Match": "*"}
    assert (await client.put(f"Patient/{id}", json=patient(id=id), headers=headers)).status_code == 201
    assert (await client.put(f"Patient/{id}", json=patient(id=id), headers=headers)).status_code == 412
    await client.delete(f"Patient/{id}")
    assert (await client.put(f"Patient/{id}", json=patient(id=id), headers=headers)).status_code == 201


async def test_a_new_subject_moves_the_resource_and_its_history(client, create, store_all, store):
    one, two, three = await store_all(patient(), patient(), patient())
    body = (await create(observation(f"Patient/{one}"))).json()
    address = f"Observation/{body['id']}"
    versions = [body]
    for who in (two, three, one):
        answer = await client.put(address, json=body | {"subject": {"reference": f"Patient/{who}"}})
        assert answer.status_code == 200
        versions.append(answer.json())
        assert (await client.get(address)).json() == versions[-1]
        assert (await store.read("Observation", body["id"], None)).bucket == home_bucket(who)
        for number, version in enumerate(versions, 1):
            assert (await client.get(f"{address}/_history/{number}")).json() == version
        history = (await client.get(f"{address}/_history")).json()["entry"]
        assert [item["resource"] for item in history] == versions[::-1]
        for other in (one, two, three):
            found = (await client.get(f"Observation?patient={other}")).json()
            assert found["total"] == (1 if other == who else 0)
    without = {name: value for name, value in body.items() if name != "subject"}
    assert (await client.put(address, json=without)).status_code == 200
    assert "subject" not in (await client.get(address)).json()
    assert (await client.get(f"Observation?_id={body['id']}")).json()["total"] == 1


async def test_a_deleted_resource_comes_back_beside_another_patient(client, create, store_all):
    one, two = await store_all(patient(), patient())
    body = (await create(observation(f"Patient/{one}"))).json()
    address = f"Observation/{body['id']}"
    await client.delete(address)
    revived = await client.put(address, json=body | {"subject": {"reference": f"Patient/{two}"}})
    assert (revived.status_code, revived.headers["etag"]) == (201, 'W/"3"')
    assert (await client.get(f"{address}/_history/2")).status_code == 410
    assert (await client.get(f"{address}/_history/1")).json() == body
