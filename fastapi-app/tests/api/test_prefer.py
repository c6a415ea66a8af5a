"""The header Prefer on writes. https://hl7.org/fhir/R4/http.html#ops"""

import pytest

from .building import entry, patient, unique


@pytest.mark.parametrize(
    ("prefer", "expected"),
    [
        ("return=representation", "Patient"),
        ("return=OperationOutcome", "OperationOutcome"),
        ("return=minimal", None),
        ('return="minimal"; foo=bar', None),
        ("respond-async, return=operationoutcome", "OperationOutcome"),
        ("return=something", "Patient"),
        ("", "Patient"),
    ],
)
async def test_what_a_write_answers(client, prefer, expected):
    headers = {"Prefer": prefer}

    def kind(answer):
        return answer.json()["resourceType"] if answer.content else None

    created = await client.post("Patient", json=patient(), headers=headers)
    assert (created.status_code, kind(created)) == (201, expected)
    assert created.headers["etag"] == 'W/"1"'
    id = created.headers["location"].split("/")[-3]
    updated = await client.put(f"Patient/{id}", json=patient(id=id), headers=headers)
    assert (updated.status_code, kind(updated), updated.headers["etag"]) == (200, expected, 'W/"2"')
    deleted = await client.delete(f"Patient/{id}", headers=headers)
    if expected == "OperationOutcome":
        assert (deleted.status_code, kind(deleted)) == (200, expected)
        assert deleted.json()["issue"][0]["severity"] == "information"
    else:
        assert (deleted.status_code, deleted.content) == (204, b"")


@pytest.mark.parametrize("kind", ["transaction", "batch"])
async def test_what_a_bundle_answers(send, kind):
    def entries():
        id = unique()
        return entry("POST", "Patient", patient()), entry("PUT", f"Patient/{id}", patient(id=id))

    async def answered(prefer):
        return (await send(*entries(), kind=kind, Prefer=prefer)).json()["entry"]

    for prefer in ("", "return=minimal"):
        assert not any("resource" in item or "outcome" in item["response"] for item in await answered(prefer))
    for item in await answered("return=representation"):
        assert item["resource"]["resourceType"] == "Patient"
        assert item["fullUrl"] == f"http://test/fhir/Patient/{item['resource']['id']}"
    for item in await answered("return=OperationOutcome"):
        assert item["response"]["outcome"]["issue"][0]["severity"] == "information"
