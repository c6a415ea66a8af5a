"""What Bundles leave in the audit log: a transaction one event with all that it wrote, a batch one for each entry."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from api.building import URN, bundle, entry

from .conftest import Audited, asked, send, told, touched
from .test_events import PATIENT, Strict, observation, strict  # noqa: F401


@pytest.fixture(scope="module")
async def admin(audited: Audited) -> AsyncIterator[httpx.AsyncClient]:
    async with audited.client(**await audited.bearer(await audited.user("admin"))) as client:
        yield client


@pytest.fixture(scope="module")
async def patient(admin: httpx.AsyncClient) -> str:
    return str((await admin.post("/fhir/Patient", json=PATIENT)).json()["id"])


async def test_a_transaction_is_one_event_with_what_it_wrote(
    audited: Audited,
    admin: httpx.AsyncClient,
    strict: Strict,  # noqa: F811
) -> None:
    answer, id = await send(
        admin,
        "POST",
        "/fhir",
        json=bundle(
            entry("POST", "Patient", PATIENT, f"{URN}1"),
            entry("POST", "Observation", observation("x") | {"subject": {"reference": f"{URN}1"}}),
        ),
    )
    assert answer.status_code == 200, answer.text
    [patient, observed] = [item["response"]["location"] for item in answer.json()["entry"]]
    [event] = await audited.events(id)
    assert told(event) == ("transaction", "E", "0")
    assert sorted(touched(event, "4")) == sorted([patient, observed])
    assert touched(event, "1") == [patient.partition("/_history")[0]]
    lifecycles = [item["lifecycle"]["code"] for item in event["entity"] if "lifecycle" in item]
    assert lifecycles == ["1", "1"]
    await strict(event)


async def test_the_event_tells_what_was_done_to_each(audited: Audited, admin: httpx.AsyncClient, patient: str) -> None:
    ids = [(await admin.post("/fhir/Observation", json=observation(patient))).json()["id"] for _ in range(2)]
    answer, id = await send(
        admin,
        "POST",
        "/fhir",
        json=bundle(
            entry("PUT", f"Observation/{ids[0]}", observation(patient, id=ids[0])),
            entry("DELETE", f"Observation/{ids[1]}"),
            entry("GET", f"Observation?patient={patient}"),
        ),
    )
    assert answer.status_code == 200, answer.text
    wrote, searched = sorted(await audited.events(id), key=lambda event: told(event)[0] == "search")
    done = {
        item["what"]["reference"].split("/")[1]: item["lifecycle"]["code"]
        for item in wrote["entity"]
        if "lifecycle" in item
    }
    assert done == {ids[0]: "3", ids[1]: "14"}
    assert (told(searched), asked(searched)) == (("search", "E", "0"), f"Observation?patient={patient}")


async def test_a_transaction_of_one_is_as_its_request_alone(
    audited: Audited, admin: httpx.AsyncClient, patient: str
) -> None:
    _, id = await send(admin, "POST", "/fhir", json=bundle(entry("POST", "Observation", observation(patient))))
    [event] = await audited.events(id)
    assert told(event) == ("create", "C", "0")


async def test_a_transaction_that_is_refused_wrote_nothing_and_is_one_event(
    audited: Audited, admin: httpx.AsyncClient, patient: str
) -> None:
    answer, id = await send(
        admin,
        "POST",
        "/fhir",
        json=bundle(
            entry("POST", "Observation", observation(patient)),
            entry("PUT", "Observation/1", observation(patient, id="1"), ifMatch='W/"7"'),
        ),
    )
    assert answer.status_code == 412
    [event] = await audited.events(id)
    assert told(event) == ("batch", "E", "4")


# the entry → subtype, action, outcome; the resources that the event names
ENTRIES: list[tuple[dict[str, Any], tuple[str, str, str], list[str]]] = [
    (entry("GET", "Patient/{p}"), ("read", "R", "0"), ["Patient/{p}/_history/1"]),
    (entry("GET", "Patient/none"), ("read", "R", "4"), ["Patient/none"]),
    (entry("GET", "Patient/{p}/_history/1"), ("vread", "R", "0"), ["Patient/{p}/_history/1"]),
    (entry("GET", "Patient/{p}/_history"), ("history-instance", "R", "0"), ["Patient/{p}"]),
    (entry("GET", "Patient?_id={p}"), ("search", "E", "0"), []),
    (entry("GET", "Patient?birthdate=x"), ("search", "E", "4"), []),
    (entry("POST", "Patient", {"resourceType": "Patient", "gender": "x"}), ("create", "C", "4"), []),
    (entry("DELETE", "Patient/none"), ("delete", "D", "0"), ["Patient/none"]),
    (entry("GET", "CodeSystem/$lookup?system=http://hl7.org/fhir/administrative-gender&code=male"), ("operation", "E", "0"), []),
]  # fmt: skip


async def test_each_entry_of_a_batch_is_an_event(audited: Audited, admin: httpx.AsyncClient, patient: str) -> None:
    for one, kind, resources in ENTRIES:
        request = one | {"request": {**one["request"], "url": one["request"]["url"].replace("{p}", patient)}}
        answer, id = await send(admin, "POST", "/fhir", json=bundle(request, kind="batch"))
        assert answer.status_code == 200, answer.text
        [event] = await audited.events(id)
        assert (told(event), touched(event, "4")) == (kind, [text.replace("{p}", patient) for text in resources])
