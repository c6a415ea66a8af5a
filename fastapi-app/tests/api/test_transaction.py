"""Transactions over HTTP. https://hl7.org/fhir/R4/http.html#transaction"""

import pytest

from fhirserver.fhir.datatypes.ids import home_bucket

from .building import URN, basic, criteria, entry, named, observation, patient, unique


async def subject_of(client, address):
    return (await client.get(address)).json()["subject"]["reference"]


async def test_references_between_entries_are_resolved_everywhere(client, commit):
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{URN}1">who</a><img src=\'{URN}1\'/></div>'
    first, who, third, fourth, old = await commit(
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
    stored = (await client.get(first)).json()
    assert stored["subject"] == {"reference": who}
    assert f'href="{who}"' in stored["text"]["div"]
    assert f"src='{who}'" in stored["text"]["div"]
    assert stored["extension"] == [{"url": "http://x", "valueUri": who}, {"url": "http://x", "valueString": f"{URN}1"}]
    assert stored["identifier"][0]["value"] == f"{URN}1"
    assert (await client.get(third)).json()["subject"] == {"reference": old}
    assert (await client.get(third)).json()["focus"] == [{"reference": fourth}]
    assert (await client.get(fourth)).json()["subject"] == {"reference": old}
    found = (await client.get(f"Observation?subject={who}")).json()
    assert [item["resource"]["id"] for item in found["entry"]] == [first.split("/")[1]]


async def test_references_to_updated_deleted_and_found_entries(client, commit, create):
    value, id = unique(), unique()
    known = (await create(named(value))).json()["id"]
    _, _, one, two = await commit(
        entry("PUT", f"Patient/{id}", patient(id=id), f"{URN}1"),
        entry("POST", "Patient", named(value), f"{URN}2", ifNoneExist=criteria(value)),
        entry("POST", "Observation", observation(f"{URN}1")),
        entry("POST", "Observation", observation(f"{URN}2")),
    )
    assert await subject_of(client, one) == f"Patient/{id}"
    assert await subject_of(client, two) == f"Patient/{known}"


async def test_a_patients_entries_are_in_one_bucket_and_a_fixed_number_of_statements(commit, statements, store):
    for size in (5, 200):
        statements.names.clear()
        value = unique()
        addresses = await commit(
            *(entry("POST", "Observation", observation(f"{URN}1")) for _ in range(size)),
            entry(
                "PUT",
                f"Condition?{criteria(value)}",
                {"resourceType": "Condition", "subject": {"reference": f"{URN}1"}},
            ),
            entry("POST", "Patient", patient(), f"{URN}1"),
        )
        assert statements.names == ["lock", "find_by_key", "copy"]
        targets = [tuple(address.split("/")) for address in addresses]
        assert len({home_bucket(id) for _, id in targets}) == 1
        assert len({found.bucket for found in (await store.read_many(targets, lambda _: None)).values()}) == 1


@pytest.mark.parametrize("size", [3, 100])
async def test_the_number_of_statements_does_not_grow(commit, statements, store_all, size):
    [who] = await store_all(patient())
    values, clients = ([unique() for _ in range(size)] for _ in range(2))
    doctors = [
        {"resourceType": "Practitioner", "identifier": [{"system": "urn:test:api", "value": value}]} for value in values
    ]
    await commit(*(entry("POST", "Practitioner", doctor) for doctor in doctors))
    statements.names.clear()
    addresses = await commit(
        *(entry("POST", "Practitioner", d, ifNoneExist=criteria(v)) for d, v in zip(doctors, values, strict=True)),
        *(
            entry("POST", "Observation", observation(f"Patient/{who}", performer=[{"reference": f"Practitioner?{criteria(v)}"}]))
            for v in values
        ),
        *(entry("PUT", f"Observation/{id}", observation(f"Patient/{who}", id=id)) for id in clients),
    )  # fmt: skip
    assert statements.names == ["lock", "find_by_key", "read_many", "copy"]
    statements.names.clear()
    await commit(*(entry("PUT", f"Observation/{id}", observation(f"Patient/{who}", id=id)) for id in clients))
    assert statements.names[0] == "read_many"
    assert len(statements.names) <= 6
    assert len(set(addresses)) == 3 * size


async def test_five_thousand_entries(client, send, statements):
    entries = [entry("POST", "Observation", observation(f"{URN}1"), f"urn:uuid:{number}") for number in range(4999)]
    answer = await send(*entries, entry("POST", "Patient", patient(), f"{URN}1"))
    assert answer.status_code == 200
    assert len(answer.json()["entry"]) == 5000
    assert statements.names == ["copy"]
    who = answer.json()["entry"][-1]["response"]["location"].split("/")[1]
    assert (await client.get(f"Observation?patient={who}&_summary=count")).json()["total"] == 4999


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        (entry("PUT", "Patient/other", patient(id="other"), ifMatch='W/"77"'), 412),
        (entry("POST", "Patient", patient(nonsense=1)), 422),
        (entry("GET", "Patient/nobody-here"), 404),
        (entry("GET", "Patient?name:dog=x"), 400),
        (entry("POST", "Observation", observation("Patient?identifier=urn:x|nobody-here")), 400),
        (entry("DELETE", "Patient/nobody-here", ifMatch='W/"1"'), 412),
    ],
)
async def test_all_or_nothing(client, create, send, rows, bad, status):
    there = (await create(patient())).json()["id"]
    id = unique()
    before = await rows()
    answer = await send(
        entry("DELETE", f"Patient/{there}"),
        entry("POST", "Patient", patient()),
        entry("PUT", f"Patient/{id}", patient(id=id)),
        bad,
    )
    assert answer.status_code == status
    assert answer.json()["issue"][0]["expression"][0].startswith("Bundle.entry[3]")
    assert await rows() == before
    assert (await client.get(f"Patient/{there}")).status_code == 200
    assert (await client.get(f"Patient/{id}")).status_code == 404


async def test_every_wrong_entry_is_told(send):
    answer = await send(*(entry("POST", "Patient", patient(active=number)) for number in range(150)))
    places = [issue["expression"][0] for issue in answer.json()["issue"]]
    assert answer.status_code == 422
    assert places == [f"Bundle.entry[{number}].resource.active" for number in range(100)]


async def test_the_order_is_delete_post_put_get(client, send):
    id, value, gone = unique(), unique(), unique()
    await client.put(f"Patient/{id}", json=patient(id=id))
    await client.put(f"Patient/{gone}", json=named(value, id=gone))
    answer = await send(
        entry("GET", f"Patient?{criteria(value)}"),
        entry("GET", f"Patient/{id}"),
        entry("PUT", f"Patient/{id}", patient(id=id, gender="other")),
        entry("POST", "Patient", named(value)),
        entry("DELETE", f"Patient/{gone}"),
        entry("GET", f"Patient/{id}/_history"),
        entry("GET", "_history?_count=1"),
        entry("HEAD", f"Patient/{id}"),
        entry("GET", f"Patient/{id}/_history/1"),
        Prefer="return=representation",
    )
    search, read, put, posted, deleted, history, everything, head, version = answer.json()["entry"]
    assert search["resource"]["total"] == 1
    assert search["resource"]["entry"][0]["resource"]["id"] == posted["resource"]["id"]
    assert read["resource"]["gender"] == "other"
    assert posted["response"]["status"].startswith("201")
    assert (put["response"]["status"][:3], put["response"]["etag"]) == ("200", 'W/"2"')
    assert (deleted["response"]["status"][:3], deleted["response"]["etag"]) == ("204", 'W/"2"')
    assert len(history["resource"]["entry"]) == 2
    assert len(everything["resource"]["entry"]) == 1
    assert "resource" not in head
    assert version["resource"]["meta"]["versionId"] == "1"
    assert (await client.get(f"Patient/{gone}")).status_code == 410


async def test_conditional_reads(client, create, send):
    address = f"Patient/{(await create(patient())).json()['id']}"
    answer = await send(
        entry("GET", address, ifNoneMatch='W/"1"'),
        entry("GET", address, ifNoneMatch="*"),
        entry("GET", address, ifNoneMatch='W/"2"'),
        entry("GET", address, ifModifiedSince="2999-01-01T00:00:00Z"),
        entry("GET", address, ifModifiedSince="2000-01-01T00:00:00Z"),
    )
    statuses = [item["response"]["status"][:3] for item in answer.json()["entry"]]
    assert statuses == ["304", "304", "200", "304", "200"]
    assert ["resource" in item for item in answer.json()["entry"]] == [False, False, True, False, True]
    bad = await send(entry("GET", address, ifModifiedSince="soon"))
    assert bad.json()["issue"][0]["expression"] == ["Bundle.entry[0].request.ifModifiedSince"]


async def test_guards_of_updates(client, send):
    id = unique()
    url = f"Patient/{id}"
    assert (await send(entry("PUT", url, patient(id=id), ifNoneMatch="*"))).status_code == 200
    assert (await send(entry("PUT", url, patient(id=id), ifNoneMatch="*"))).status_code == 412
    assert (await send(entry("PUT", url, patient(id=id), ifMatch='W/"1"'))).status_code == 200
    assert (await send(entry("PUT", url, patient(id=id), ifMatch='W/"1"'))).status_code == 412
    assert (await send(entry("DELETE", url, ifMatch='W/"1"'))).status_code == 412
    assert (await send(entry("DELETE", url, ifMatch='W/"2"'))).status_code == 200
    assert (await send(entry("PUT", url, patient(id=id)))).json()["entry"][0]["response"]["status"] == "201 Created"


async def test_conditional_entries_and_references(client, commit, send):
    value = unique()
    who, seen = await commit(
        entry("POST", "Patient", named(value), f"{URN}1", ifNoneExist=criteria(value)),
        entry("POST", "Observation", observation(f"{URN}1")),
    )
    again = await send(
        entry("POST", "Patient", named(value), f"{URN}1", ifNoneExist=criteria(value)),
        entry("POST", "Observation", observation(f"{URN}1")),
        entry("POST", "Observation", observation(f"Patient?{criteria(value)}")),
    )
    responses = [item["response"] for item in again.json()["entry"]]
    assert [response["status"][:3] for response in responses] == ["200", "201", "201"]
    same, *others = ("/".join(response["location"].split("/")[:2]) for response in responses)
    assert same == who
    for address in others:
        assert await subject_of(client, address) == who
    assert await commit(entry("PUT", f"Patient?{criteria(value)}", named(value, gender="male"))) == [who]
    assert (await client.get(who)).json()["gender"] == "male"
    removed = await send(
        entry("DELETE", f"Observation?_id={seen.split('/')[1]}"), entry("DELETE", "Patient?_id=nobody-at-all")
    )
    assert [item["response"]["status"][:3] for item in removed.json()["entry"]] == ["204", "204"]
    assert (await client.get(seen)).status_code == 410


async def test_a_conditional_update_of_a_taken_id_is_refused(client, send, create):
    id = unique()
    await client.put(f"Patient/{id}", json=patient(id=id))
    value = unique()
    answer = await send(entry("PUT", f"Patient?{criteria(value)}", named(value, id=id)))
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (409, ["Bundle.entry[0].resource.id"])
    await create(named(value))
    other = await send(entry("PUT", f"Patient?{criteria(value)}", named(value, id=id)))
    assert (other.status_code, other.json()["issue"][0]["expression"]) == (400, ["Bundle.entry[0].resource.id"])


@pytest.mark.parametrize("known", [True, False])
async def test_of_several_creates_by_the_same_criteria_one_creates(client, create, send, known):
    value = unique()
    if known:
        await create(named(value))
    answer = await send(
        entry("POST", "Observation", observation(f"{URN}2")),
        entry("POST", "Patient", named(value, gender="male"), f"{URN}1", ifNoneExist=criteria(value)),
        entry("POST", "Patient", named(value, gender="female"), f"{URN}2", ifNoneExist=f"Patient?{criteria(value)}"),
        entry("POST", "Observation", observation(f"{URN}1")),
    )
    responses = [item["response"] for item in answer.json()["entry"]]
    assert [response["status"][:3] for response in responses] == ["201", "200" if known else "201", "200", "201"]
    assert responses[1]["location"] == responses[2]["location"]
    who = "/".join(responses[1]["location"].split("/")[:2])
    for response in (responses[0], responses[3]):
        assert await subject_of(client, "/".join(response["location"].split("/")[:2])) == who
    assert (await client.get(f"Patient?{criteria(value)}&_total=accurate")).json()["total"] == 1


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_reference_by_the_criteria_of_an_entry_leads_to_it(client, commit, method):
    value = unique()
    by = {"ifNoneExist": criteria(value)} if method == "POST" else {}
    url = "Patient" if method == "POST" else f"Patient?{criteria(value)}"
    seen, who = await commit(
        entry("POST", "Observation", observation(f"Patient?{criteria(value)}")),
        entry(method, url, named(value), **by),
    )
    assert await subject_of(client, seen) == who
    assert home_bucket(seen.split("/")[1]) == home_bucket(who.split("/")[1])


async def test_entries_that_concern_one_resource(client, create, send, rows):
    value = unique()
    id = (await create(named(value))).json()["id"]
    put = entry("PUT", f"Patient/{id}", named(value, id=id))
    before = await rows()
    for other in (
        put,
        entry("DELETE", f"Patient/{id}"),
        entry("PUT", f"Patient?{criteria(value)}", named(value)),
        entry("DELETE", f"Patient?{criteria(value)}"),
        entry("POST", "Patient", named(value), ifNoneExist=criteria(value)),
    ):
        for entries in ((put, other), (other, put)):
            answer = await send(*entries)
            assert answer.status_code == 400
            assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[1].request"]
    assert await rows() == before


async def test_a_new_subject_moves_in_a_transaction(client, commit, store_all, store):
    one, two = await store_all(patient(), patient())
    ids = await store_all(*(observation(f"Patient/{one}") for _ in range(3)))
    await commit(*(entry("PUT", f"Observation/{id}", observation(f"Patient/{two}", id=id)) for id in ids))
    for id in ids:
        assert (await store.read("Observation", id, None)).bucket == home_bucket(two)
        assert await subject_of(client, f"Observation/{id}") == f"Patient/{two}"
        assert await subject_of(client, f"Observation/{id}/_history/1") == f"Patient/{one}"
        assert len((await client.get(f"Observation/{id}/_history")).json()["entry"]) == 2


async def test_numbers_keep_their_form(client, send):
    text = (
        '{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"POST","url":"Basic"},"resource":'
    )
    text += '{"resourceType":"Basic","code":{"text":"é"},"extension":[{"url":"http://x","valueDecimal":1.00}]}}]}'
    answer = await client.post("", content=text.encode(), headers={"Prefer": "return=representation"})
    assert '"valueDecimal":1.00}' in answer.text
    [item] = answer.json()["entry"]
    assert '"valueDecimal":1.00}' in (await client.get(item["response"]["location"])).text


async def test_an_answer_for_every_entry_in_its_place(send):
    answer = await send(
        entry("POST", "Basic", basic()), entry("GET", "Basic?_count=0"), entry("POST", "Patient", patient())
    )
    bundle = answer.json()
    assert bundle["type"] == "transaction-response"
    first, second, third = bundle["entry"]
    assert first["response"]["location"].startswith("Basic/")
    assert second["resource"]["type"] == "searchset"
    assert third["response"]["location"].startswith("Patient/")
    assert first["response"]["etag"] == 'W/"1"'
    assert first["response"]["lastModified"].endswith("Z")
