"""An app that an EHR starts: with what it has open, once, for that app, and for that user."""

from dataclasses import dataclass
from typing import Any

import pytest

from ..conftest import JSON, Process
from .browsing import App, Browser, app
from .conftest import ask_as_system, key

SCOPE = "launch patient/*.rs openid"


@dataclass
class Ehr:
    """A practitioner who is signed in at the EHR, and a patient with an encounter that is open there."""

    username: str
    headers: dict[str, str]
    patient: str
    encounter: str
    other: str

    async def launch(self, process: Process, asking: App, headers: dict[str, str] | None = None, **body: Any) -> Any:
        """The answer to the EHR, which wants to start the app."""
        complete = {"client_id": asking.client.id, "patient": self.patient, **body}
        async with process.client(**(self.headers if headers is None else headers)) as client:
            return await client.post("/auth/launch", json=complete, headers=JSON)


@pytest.fixture(scope="module")
async def ehr(process: Process) -> Ehr:
    name = await process.user("practitioner")
    headers = await process.bearer(name)
    async with process.client(**headers) as client:
        one, other = [
            (await client.post("/fhir/Patient", json={"resourceType": "Patient"})).json()["id"] for _ in range(2)
        ]
        encounter = {
            "resourceType": "Encounter", "status": "in-progress", "subject": {"reference": f"Patient/{one}"},
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        }  # fmt: skip
        made = await client.post("/fhir/Encounter", json=encounter)
    return Ehr(name, headers, one, made.json()["id"], other)


async def opened(process: Process, asking: App, launch: str, username: str, scope: str = SCOPE) -> Browser:
    """A browser in which the app was started, and its user has signed in."""
    browser = Browser(process)
    await browser.open(asking.address(scope=scope, launch=launch))
    if browser.page.status_code == 200:
        await browser.sign_in(username)
    return browser


async def test_the_app_gets_what_the_ehr_has_open(process: Process, another: Process, ehr: Ehr):
    asking = await app(process)
    context = [{"reference": f"Encounter/{ehr.encounter}", "role": "main"}]
    answer = await ehr.launch(
        another, asking, encounter=ehr.encounter, intent="review", need_patient_banner=False, fhirContext=context
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["expires_in"] == 300
    browser = await opened(process, asking, answer.json()["launch"], ehr.username)
    await browser.press("give")
    body = (await asking.exchange(browser.told["code"])).json()
    told = {
        "patient": ehr.patient, "encounter": ehr.encounter, "intent": "review", "need_patient_banner": False,
        "fhirContext": context,
    }  # fmt: skip
    assert told.items() <= body.items()
    async with process.client(Authorization=f"Bearer {body['access_token']}") as client:
        assert (await client.get("/fhir/Patient")).json()["total"] == 1
        assert (await client.get(f"/fhir/Patient/{ehr.other}")).status_code == 404


async def test_a_launch_is_good_once(process: Process, ehr: Ehr):
    asking = await app(process)
    launch = (await ehr.launch(process, asking)).json()["launch"]
    one, two = [await opened(process, asking, launch, ehr.username) for _ in range(2)]
    await one.press("give")
    assert "code" in one.told
    await two.press("give")
    assert two.told["error"] == "invalid_request"
    again = await opened(process, asking, launch, ehr.username)
    assert again.told["error"] == "invalid_request"


async def test_a_launch_is_for_one_app_and_one_user(process: Process, ehr: Ehr):
    asking, other = await app(process), await app(process)
    launch = (await ehr.launch(process, asking)).json()["launch"]
    browser = await opened(process, other, launch, ehr.username)
    assert browser.told["error"] == "invalid_request"
    browser = await opened(process, asking, launch, await process.user("practitioner"))
    assert browser.told["error"] == "access_denied"
    browser = await opened(process, asking, launch, ehr.username)
    await browser.press("give")
    assert "code" in browser.told


async def test_a_launch_is_good_for_minutes(process: Process, ehr: Ehr, monkeypatch: pytest.MonkeyPatch):
    asking = await app(process)
    launch = (await ehr.launch(process, asking)).json()["launch"]
    launches = process.access.oauth.launches
    from datetime import timedelta

    clock = launches._clock
    monkeypatch.setattr(launches, "_clock", lambda: clock() + timedelta(minutes=5))
    browser = await opened(process, asking, launch, ehr.username)
    assert browser.told["error"] == "invalid_request"


async def test_a_patient_does_not_get_into_another_record(process: Process, ehr: Ehr):
    """A launch of a system is for whoever signs in; a patient's own role is about nobody else."""
    one = key()
    jwks = {"keys": [one.public]}
    system, _ = await process.access.oauth.clients.add("EHR", "private_key_jwt", "system/*.rs", jwks=jwks)
    token = (await ask_as_system(process, one.assertion(system.id), "system/*.rs")).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    asking = await app(process)
    patient = await process.user("patient", fhir_user=f"Patient/{ehr.other}")
    launch = (await ehr.launch(process, asking, headers)).json()["launch"]
    browser = await opened(process, asking, launch, patient)
    assert browser.told["error"] == "access_denied"
    nurse = await process.user("nurse", "patient", fhir_user=f"Patient/{ehr.other}")
    browser = await opened(process, asking, launch, nurse)
    await browser.press("give")
    body = (await asking.exchange(browser.told["code"])).json()
    assert body["patient"] == ehr.patient
    # For a user whom the EHR names.
    launch = (await ehr.launch(process, asking, headers, user=ehr.username)).json()["launch"]
    browser = await opened(process, asking, launch, nurse)
    assert browser.told["error"] == "access_denied"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"client_id": "nobody"}, 400),
        ({"client_id": "\x00"}, 400),
        ({"patient": "nobody"}, 400),
        ({"patient": "../Observation"}, 400),
        ({"patient": "\x00"}, 400),
        ({"encounter": "nobody"}, 400),
        ({"encounter": "ENCOUNTER", "patient": "OTHER"}, 400),  # of another patient
        ({"encounter": "ENCOUNTER", "patient": None}, 400),
        ({"user": "nobody-of-that-name"}, 400),
        ({"user": "SOMEBODY"}, 400),  # for another user than oneself
        ({"fhirContext": [{"reference": "nothing"}]}, 400),
        ({"fhirContext": [{"reference": "Observation/nobody"}]}, 400),
        ({"fhirContext": [{"reference": "https://elsewhere.example/fhir/Patient/1"}]}, 400),
        ({"fhirContext": [{"reference": "Patient/1"}] * 21}, 400),
        ({"intent": "x" * 101}, 400),
        ({"scope": "user/*.cruds"}, 400),
        ({}, 201),
        ({"patient": None}, 201),
    ],
    ids=str,
)
async def test_launches_that_are_refused(process: Process, ehr: Ehr, body: dict[str, Any], expected: int):
    asking = await app(process)
    somebody = await process.user("practitioner")
    names = {"ENCOUNTER": ehr.encounter, "OTHER": ehr.other, "SOMEBODY": somebody}
    answer = await ehr.launch(
        process, asking, **{k: names.get(v, v) if isinstance(v, str) else v for k, v in body.items()}
    )
    assert answer.status_code == expected, answer.text


async def test_launches_are_about_what_the_caller_may_see(process: Process, ehr: Ehr):
    asking = await app(process)
    patient = await process.bearer(await process.user("patient", fhir_user=f"Patient/{ehr.other}"))
    assert (await ehr.launch(process, asking, patient)).status_code == 400
    assert (await ehr.launch(process, asking, patient, patient=ehr.other)).status_code == 201
    assert (await ehr.launch(process, asking, {})).status_code == 401
    without = await app(process, scope="patient/*.rs launch/patient")
    assert (await ehr.launch(process, without)).status_code == 400  # it is not one that an EHR starts


async def test_what_the_registration_lost_meanwhile_is_not_given(process: Process, ehr: Ehr):
    asking = await app(process)
    launch = (await ehr.launch(process, asking)).json()["launch"]
    browser = await opened(process, asking, launch, ehr.username)
    await process.access.oauth.clients.change(asking.client.id, scope="launch patient/Patient.rs")
    await browser.press("give")
    assert browser.told["error"] == "access_denied"  # what was chosen is no longer to be had
