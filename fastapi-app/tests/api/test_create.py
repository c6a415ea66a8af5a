"""Create over HTTP. https://hl7.org/fhir/R4/http.html#create and #ccreate"""

from fhirserver.fhir.datatypes.ids import embedded_bucket, home_bucket

from .building import criteria, named, observation, patient, unique


async def test_the_answer_tells_where_the_resource_is(timed):
    answer = await timed.post("Patient", json=patient(gender="male"))
    body = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"http://test/fhir/Patient/{body['id']}/_history/1"
    assert answer.headers["etag"] == 'W/"1"'
    assert answer.headers["last-modified"] == "Sat, 31 Jan 2026 09:30:00 GMT"
    assert answer.headers["content-type"].startswith("application/fhir+json")
    assert body["meta"] == {"versionId": "1", "lastUpdated": "2026-01-31T09:30:00.123Z"}
    assert body["gender"] == "male"
    assert embedded_bucket(body["id"]) is not None


async def test_id_and_version_in_the_body_are_ignored(create):
    meta = {"versionId": "7", "lastUpdated": "2001-01-01T00:00:00Z", "profile": ["http://x"], "source": "urn:s"}
    answer = await create(patient(id="mine", meta=meta))
    body = answer.json()
    assert body["id"] != "mine"
    assert body["meta"]["versionId"] == "1"
    assert body["meta"]["lastUpdated"] > "2025"
    assert (body["meta"]["profile"], body["meta"]["source"]) == (["http://x"], "urn:s")


async def test_a_create_is_one_statement(create, statements):
    statements.names.clear()
    await create(patient())
    assert statements.names == ["insert"]


async def test_what_belongs_to_a_patient_gets_an_id_in_its_bucket(create, store_all):
    [who] = await store_all(patient())
    for reference in (f"Patient/{who}", f"http://test/fhir/Patient/{who}", f"Patient/{who}/_history/1"):
        assert home_bucket((await create(observation(reference))).json()["id"]) == home_bucket(who)


async def test_every_element_comes_back_in_its_order(create):
    body = {
        "resourceType": "Patient",
        "id": "x",
        "birthDate": "1970-01-01",
        "_birthDate": {"extension": [{"url": "http://x", "valueDateTime": "1970-01-01T10:00:00+01:00"}]},
        "name": [
            {
                "given": ["A", None],
                "_given": [None, {"id": "b", "extension": [{"url": "http://x", "valueCode": "y"}]}],
                "family": "Müller 🎉",
            }
        ],
        "active": False,
    }
    answer = await create(body)
    assert list(answer.json()) == ["resourceType", "id", "meta", "birthDate", "_birthDate", "name", "active"]
    assert {name: answer.json()[name] for name in list(body)[2:]} == dict(list(body.items())[2:])


async def test_if_none_exist(client, create):
    value = unique()
    condition = {"If-None-Exist": criteria(value)}
    first = await create(named(value), **condition)
    again = await client.post("Patient", json=named(value, gender="other"), headers=condition)
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["etag"] == 'W/"1"'
    assert again.headers["location"] == first.headers["location"]
    await create(named(value))
    several = await client.post("Patient", json=named(value), headers=condition)
    assert (several.status_code, several.json()["issue"][0]["code"]) == (412, "multiple-matches")


async def test_the_forms_of_if_none_exist(client, create):
    system = "http://a?b=c&d"
    body = patient(identifier=[{"system": system, "value": unique()}])
    query = f"identifier=http%3A%2F%2Fa?b=c%26d|{body['identifier'][0]['value']}"
    first = await create(body)
    for form in (query, f"?{query}", f"Patient?{query}"):
        answer = await client.post("Patient", json=body, headers={"If-None-Exist": form})
        assert (answer.status_code, answer.json()) == (200, first.json()), form


async def test_what_was_deleted_does_not_exist(client, create):
    value = unique()
    first = (await create(named(value))).json()["id"]
    await client.delete(f"Patient/{first}")
    assert (await create(named(value), **{"If-None-Exist": criteria(value)})).json()["id"] != first
