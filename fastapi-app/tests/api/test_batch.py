"""Batches over HTTP: each entry for itself. https://hl7.org/fhir/R4/http.html#brules"""

from fhirserver.fhir.validation.validator import Validator

from .building import URN, criteria, entry, named, observation, patient, unique


async def test_each_entry_has_its_own_status_and_outcome(client, send, definitions):
    id = unique()
    answer = await send(
        entry("PUT", f"Patient/{id}", patient(id=id)),
        entry("GET", "Patient/nobody-here"),
        entry("POST", "Patient", patient(nonsense=1)),
        entry("POST", "Patient", patient()),
        entry("FETCH", "Patient"),
        {"resource": patient()},
        entry("GET", "Patient?name:dog=x"),
        None,
        entry("GET", "Dog/1"),
        entry("GET", "metadata"),
        entry("PUT", f"Patient/{unique()}", patient(id="other")),
        entry("DELETE", "Patient/nobody-here", ifMatch='W/"1"'),
        entry("DELETE", "Patient/nobody-here"),
        entry("POST", "Patient", patient(), ifNoneExist="name=%00"),
        kind="batch",
    )
    assert answer.status_code == 200
    bundle = answer.json()
    assert bundle["type"] == "batch-response"
    assert [item["response"]["status"][:3] for item in bundle["entry"]] == [
        "201", "404", "422", "201", "400", "400", "400", "400", "404", "405", "400", "412", "204", "400"
    ]  # fmt: skip
    for number, item in enumerate(bundle["entry"]):
        if item["response"]["status"][0] == "4":
            outcome = item["response"]["outcome"]
            assert Validator(definitions).validate(outcome, "OperationOutcome") == []
            assert outcome["issue"][0]["expression"][0].startswith(f"Bundle.entry[{number}]")
    assert bundle["entry"][2]["response"]["outcome"]["issue"][0]["expression"] == ["Bundle.entry[2].resource.nonsense"]
    assert bundle["entry"][6]["response"]["outcome"]["issue"][0]["expression"] == ["Bundle.entry[6].request.url"]
    assert (await client.get(f"Patient/{id}")).status_code == 200


async def test_the_order_is_that_of_a_transaction(client, create, send):
    id = (await create(patient())).json()["id"]
    answer = await send(
        entry("GET", f"Patient/{id}"), entry("PUT", f"Patient/{id}", patient(id=id, gender="other")), kind="batch"
    )
    assert answer.json()["entry"][0]["resource"]["gender"] == "other"


async def test_entries_do_not_know_of_each_other(client, send):
    answer = await send(
        entry("POST", "Patient", patient(), f"{URN}1"),
        entry("POST", "Observation", observation(f"{URN}1")),
        kind="batch",
    )
    location = answer.json()["entry"][1]["response"]["location"]
    assert (await client.get(location)).json()["subject"] == {"reference": f"{URN}1"}


async def test_conditional_entries(client, send):
    value = unique()
    by = criteria(value)
    answer = await send(
        entry("POST", "Patient", named(value), ifNoneExist=by),
        entry("POST", "Patient", named(value), ifNoneExist=by),
        entry("PUT", f"Patient?{by}", named(value, gender="other")),
        entry("GET", f"Patient?{by}"),
        kind="batch",
    )
    statuses = [item["response"]["status"][:3] for item in answer.json()["entry"]]
    assert sorted(statuses[:2]) == ["200", "201"]
    assert statuses[2:] == ["200", "200"]
    [found] = answer.json()["entry"][3]["resource"]["entry"]
    assert found["resource"]["gender"] == "other"
    removed = await send(entry("DELETE", f"Patient?{by}"), kind="batch")
    assert removed.json()["entry"][0]["response"]["status"][:3] == "204"


async def test_a_failing_entry_keeps_nothing_from_the_others(client, send, rows):
    before = await rows()
    answer = await send(
        *(entry("POST", "Patient", patient(active=number % 2 == 0 or "no")) for number in range(100)), kind="batch"
    )
    statuses = [item["response"]["status"][:3] for item in answer.json()["entry"]]
    assert statuses == ["201", "422"] * 50
    assert await rows() == before + 50
