"""Consent × who × how: what a patient denies is not there for whom they deny it, whatever the way to it.

`CASES` says what a Consent leaves to whom; all ways follow from that.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest
from api.building import bundle, entry, unique

from fhirserver.access.policy import Unrestricted
from fhirserver.interactions.context import Call
from fhirserver.interactions.delete import delete
from fhirserver.main import Process as ServerProcess

from .conftest import Process, start
from .test_protection import CONFIDENTIALITY, EVERYTHING, NO_SUCH_VERSION, TYPES, WAYS, Way, World, record

NOTHING: frozenset[str] = frozenset()
OBSERVATIONS = frozenset(name for name, resource_type in TYPES.items() if resource_type == "Observation")
LABELLED_V = frozenset({"secret", "appointment"})
CLASSES = "http://hl7.org/fhir/resource-types"
REASONS = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
ACTIONS = "http://terminology.hl7.org/CodeSystem/consentaction"


def coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def actor(reference: str) -> dict[str, Any]:
    return {
        "role": coded("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "PRCP"),
        "reference": {"reference": reference},
    }


OBSERVED = [{"system": CLASSES, "code": "Observation"}]
LOINC = [coded("http://loinc.org", "4548-4")]
DR = [actor("Practitioner/dr-TAG")]
RESEARCH = [{"system": REASONS, "code": "HRESCH"}]
R = [{"system": CONFIDENTIALITY, "code": "R"}]
V = [{"system": CONFIDENTIALITY, "code": "V"}]
OUT, IN = {"policyRule": coded("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTOUT")}, {}
PAST, FUTURE = {"end": "2020-01-01"}, {"start": "2999-01-01"}


def data(meaning: str, name: str) -> list[dict[str, Any]]:
    return [{"meaning": meaning, "reference": {"reference": f"{TYPES[name]}/{name}-RECORD"}}]


def deny(**criteria: Any) -> dict[str, Any]:
    return {"provision": {"type": "deny", **criteria}}


def permit(**criteria: Any) -> dict[str, Any]:
    return {"type": "permit", **criteria}


# what the Consent says → what the doctor, another one, and one who asks for research see
CASES: dict[str, tuple[dict[str, Any], frozenset[str], frozenset[str], frozenset[str]]] = {
    "everything to everybody": (deny(), NOTHING, NOTHING, NOTHING),
    "opts out": (OUT, NOTHING, NOTHING, NOTHING),
    "the doctor": (deny(actor=DR), NOTHING, EVERYTHING, EVERYTHING),
    "an exception without a type": ({"provision": {"actor": DR}}, NOTHING, EVERYTHING, EVERYTHING),  # to opting in
    "a class": (deny(**{"class": OBSERVED}), *[EVERYTHING - OBSERVATIONS] * 3),
    "a class, to the doctor": (deny(**{"class": OBSERVED}, actor=DR), EVERYTHING - OBSERVATIONS, EVERYTHING, EVERYTHING),
    "a code": (deny(code=LOINC), *[EVERYTHING - OBSERVATIONS] * 3),
    "a label, and what is more": (deny(securityLabel=R), *[EVERYTHING - {"restricted", "encounter", *LABELLED_V}] * 3),
    "in the past": (deny(period=PAST), *[EVERYTHING] * 3),
    "in the future": (deny(period=FUTURE), *[EVERYTHING] * 3),
    "of the time of the data": (deny(dataPeriod={"start": "2021-01-01", "end": "2021-12-31"}), *[EVERYTHING - {"condition"}] * 3),
    "one resource": (deny(data=data("instance", "normal")), *[EVERYTHING - {"normal"}] * 3),
    "an encounter and what depends on it": (deny(data=data("dependents", "encounter")), *[EVERYTHING - {"encounter", "normal"}] * 3),
    "research": (deny(purpose=RESEARCH), EVERYTHING, EVERYTHING, NOTHING),
    "all but the doctor": ({**OUT, "provision": permit(actor=DR)}, EVERYTHING, NOTHING, NOTHING),
    "all but a class": ({**OUT, "provision": permit(**{"class": OBSERVED})}, *[OBSERVATIONS] * 3),
    "exceptions to exceptions": (
        deny(provision=[permit(actor=DR, provision=[{"type": "deny", "securityLabel": V}])]),
        EVERYTHING - LABELLED_V, NOTHING, NOTHING,
    ),
    "two exceptions that disagree": (  # denying comes first
        {"provision": {"provision": [permit(actor=DR), {"type": "deny", "code": LOINC}]}},
        *[EVERYTHING - OBSERVATIONS] * 3,
    ),
    "not yet, or no more": ({**deny(), "status": "inactive"}, *[EVERYTHING] * 3),
    "of treatment, not of data": ({**deny(), "scope": coded("http://terminology.hl7.org/CodeSystem/consentscope", "treatment")}, *[EVERYTHING] * 3),
    "with a criterion that nobody understands": (  # denies what it may be about
        deny(action=[{"text": "sell"}], actor=DR), NOTHING, EVERYTHING, EVERYTHING,
    ),
    "with an exception that nobody understands": ({**OUT, "provision": permit(action=[{"text": "see"}])}, *[NOTHING] * 3),
}  # fmt: skip
CALLERS = ("doctor", "another", "researcher")
IN_EVERY_WAY = (
    "everything to everybody", "the doctor", "a class, to the doctor", "one resource", "all but the doctor",
    "exceptions to exceptions",
)  # fmt: skip
IN_THE_MAIN_WAYS = ("read", "vread", "by_type", "total", "over_all_types", "writing")
ROWS = [
    (case, who, seen, way)
    for case, (_, *sees) in CASES.items()
    for number, (who, seen) in enumerate((*zip(CALLERS, sees, strict=True), ("the patient", EVERYTHING)))
    if seen not in sees[:number]  # those who see the same are not asked for again
    for way in WAYS
    if case in IN_EVERY_WAY or way.__name__ in IN_THE_MAIN_WAYS
]


def consent(case: str, patient: str, tag: str) -> dict[str, Any]:
    """The Consent of a case, by this patient."""
    said = CASES[case][0]
    made = {
        "resourceType": "Consent",
        "status": "active",
        "scope": coded("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [coded("http://loinc.org", "59284-0")],
        "policyRule": coded("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTIN"),
        "patient": {"reference": patient},
        **said,
    }
    return dict(_filled(made, tag, patient.partition("patient-")[2]))


def _filled(value: Any, tag: str, record_tag: str) -> Any:
    if isinstance(value, dict):
        return {name: _filled(item, tag, record_tag) for name, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, tag, record_tag) for item in value]
    return value.replace("TAG", tag).replace("RECORD", record_tag) if isinstance(value, str) else value


@pytest.fixture(scope="module")
async def worlds(dsn: str) -> AsyncIterator[dict[str, World]]:
    """A record for each case, and who asks for them."""
    process, opened = await start(dsn)
    tag = unique()
    admin = await process.bearer(await process.user("admin"))
    async with process.client(**admin) as client:
        role = {"scopes": "user/*.cruds server/clearance.V server/break-glass"}
        saved = await client.put("/auth/roles/test_cleared", json=role, headers={"Content-Type": "application/json"})
        assert saved.status_code == 204, saved.text
    await process.changes.ask()
    headers = {
        "doctor": await process.bearer(await process.user("test_cleared", fhir_user=f"Practitioner/dr-{tag}")),
        "another": await process.bearer(await process.user("test_cleared", fhir_user=f"Practitioner/another-{tag}")),
        "admin": admin,
    }
    headers["researcher"] = {**headers["another"], "X-Purpose-Of-Use": "CLINTRCH"}  # a kind of research
    made = {case: await _world(process, case, tag, headers) for case in CASES}
    await opened.current.refresh()
    yield made
    await _withdraw_all(opened, dsn)
    await opened.close()


async def _withdraw_all(opened: ServerProcess, dsn: str) -> None:
    """Leave no Consent behind: others test what administrators see of everything."""
    connection = await asyncpg.connect(dsn)
    ids = await connection.fetch("SELECT id FROM resource WHERE resource_type = 'Consent' AND content IS NOT NULL")
    await connection.close()
    call = Call("http://test/fhir", "test", Unrestricted())
    for row in ids:
        await delete(opened.current.server, call, "Consent", row["id"])


async def _world(process: Process, case: str, tag: str, headers: dict[str, dict[str, str]]) -> World:
    name = unique()
    bodies = record(name)
    address = {name: f"{TYPES[name]}/{body['id']}" for name, body in bodies.items()}
    patient = await process.bearer(await process.user("patient", fhir_user=address["patient"]))
    since = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    world = World(process, name, bodies, address, {**headers, "the patient": patient}, since)
    async with world.client("admin") as client:
        written = [entry("PUT", address[name], body) for name, body in bodies.items()]
        written.append(entry("POST", "Consent", consent(case, address["patient"], tag)))
        stored = await client.post("", json=bundle(*written))
        assert stored.status_code == 200, stored.text
    return world


@pytest.mark.parametrize(
    ("case", "who", "seen", "way"), ROWS, ids=[f"{case}: {who} {way.__name__}" for case, who, _, way in ROWS]
)
async def test_consents(worlds: dict[str, World], case: str, who: str, seen: frozenset[str], way: Way) -> None:
    async with worlds[case].client(who) as client:
        await way(worlds[case], client, seen)


async def _posted(world: World, body: dict[str, Any]) -> str:
    """The address of a Consent, which the process has heard of."""
    async with world.client("admin") as admin:
        answer = await admin.post("Consent", json=body)
        assert answer.status_code == 201, answer.text
    return f"Consent/{answer.json()['id']}"


async def _hear(process: Process) -> None:
    await process.opened.current.refresh()


BREAKING = {"X-Purpose-Of-Use": "BTG", "X-Break-Glass-Reason": "unconscious, bleeding"}


async def test_all_processes_hear_of_a_consent_and_of_its_end(dsn: str, worlds: dict[str, World]) -> None:
    world = worlds["in the past"]
    elsewhere, opened = await start(dsn)
    address = world.address["normal"]

    async def statuses() -> list[int]:
        found = []
        for process in (world.process, elsewhere):
            await process.opened.current.refresh()
            async with process.client(**world.headers["doctor"]) as client:
                found.append((await client.get(f"/fhir/{address}")).status_code)
        return found

    body = {**consent("everything to everybody", world.address["patient"], "x")}
    changes = (
        (await _posted(world, body), 404),
        ({**body, "status": "inactive"}, 200),
        (body, 404),
        (None, 200),
    )
    consent_at = str(changes[0][0])
    for change, expected in changes:
        async with world.client("admin") as admin:
            glass = {**BREAKING}
            if isinstance(change, dict):
                updated = {**change, "id": consent_at.partition("/")[2]}
                assert (await admin.put(consent_at, json=updated, headers=glass)).status_code == 200
            elif change is None:
                assert (await admin.delete(consent_at, headers=glass)).status_code == 204
        assert await statuses() == [expected] * 2
    await opened.close()


async def test_who_is_denied_does_not_lift_it(worlds: dict[str, World]) -> None:
    """The Consent is part of the record."""
    world = worlds["everything to everybody"]
    async with world.client("the patient") as patient:
        found = (await patient.get("Consent")).json()["entry"][0]["resource"]
    async with world.client("doctor") as doctor:
        assert (await doctor.get(f"Consent/{found['id']}")).status_code == 404
        for body in ({**found, "status": "inactive"}, {**found, "patient": {"reference": "Patient/other"}}):
            answer = await doctor.put(f"Consent/{found['id']}", json=body)
            assert answer.status_code == 403, answer.text
        assert (await doctor.delete(f"Consent/{found['id']}")).status_code == 404
        assert (
            await doctor.post("Observation", json={**world.bodies["normal"], "id": None} | {"id": "x"})
        ).status_code == 403


@pytest.mark.parametrize(
    ("action", "reads", "creates", "updates"),
    [
        ("access", 404, 403, 403),  # what may not be seen may not be written
        ("collect", 200, 403, 412),
        ("correct", 200, 201, 403),
    ],
)
async def test_actions(worlds: dict[str, World], action: str, reads: int, creates: int, updates: int) -> None:
    world = worlds["in the future"]
    body = {**consent("the doctor", world.address["patient"], "x"), **deny(action=[coded(ACTIONS, action)])}
    address = await _posted(world, body)
    await _hear(world.process)
    observation = {name: value for name, value in world.bodies["normal"].items() if name != "id"}
    async with world.client("doctor") as doctor:
        assert (await doctor.get(world.address["normal"])).status_code == reads
        assert (await doctor.post("Observation", json=observation)).status_code == creates
        answer = await doctor.put(world.address["normal"], json=world.bodies["normal"], headers=NO_SUCH_VERSION)
        assert answer.status_code == updates
    async with world.client("admin") as admin:
        assert (await admin.delete(address, headers=BREAKING)).status_code == 204
    await _hear(world.process)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 404),
        ({"X-Purpose-Of-Use": "TREAT"}, 404),
        ({"X-Purpose-Of-Use": "ETREAT", "X-Break-Glass-Reason": "unconscious"}, 200),
        (BREAKING, 200),
        ({"X-Purpose-Of-Use": "btg", "X-Break-Glass-Reason": "sangría"}, 200),
        ({"X-Purpose-Of-Use": "BTG"}, 400),  # without a reason
        ({"X-Purpose-Of-Use": "BTG", "X-Break-Glass-Reason": " x "}, 400),
        ({"X-Purpose-Of-Use": "BTG", "X-Break-Glass-Reason": "x" * 501}, 400),
        ({"X-Purpose-Of-Use": "SAUSAGE"}, 400),
        ({"X-Purpose-Of-Use": "_ActInformationManagementReason"}, 400),  # a code of the system, but no purpose
        ({"X-Break-Glass-Reason": "unconscious"}, 404),  # for no purpose
    ],
)
async def test_breaking_the_glass(
    worlds: dict[str, World], headers: dict[str, str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    world = worlds["everything to everybody"]
    encoded = {name: value.encode() for name, value in headers.items()}
    async with world.client("doctor") as doctor:
        answer = await doctor.get(world.address["normal"], headers=encoded)
        found = await doctor.get(f"Observation?_tag={world.tag}", headers=encoded)
    assert answer.status_code == status, answer.text
    assert found.status_code == (status if status == 400 else 200)
    if found.status_code == 200:
        assert found.json()["total"] == (3 if status == 200 else 0)
    logged = [line for line in capsys.readouterr().out.splitlines() if "the glass is broken" in line]
    assert len(logged) == (2 if status == 200 else 0)
    assert all("warning" in line and "reason" in line for line in logged)


async def test_the_glass_is_broken_by_people_who_may(worlds: dict[str, World]) -> None:
    """Not by programs with keys, nor by who has no such scope; and it opens nothing that scopes close."""
    world = worlds["everything to everybody"]
    process = world.process
    admin = await process.user("admin")
    cases = (
        (await process.bearer(admin), 200),
        (await process.key(admin, "system/*.cruds"), 403),
        (await process.bearer(await process.user("nurse")), 200),
        (await process.bearer(await process.user("system")), 403),
        (await process.bearer(await process.user("patient")), 403),
        (await process.bearer(await process.user("practitioner"), scope="user/Patient.rs"), 403),
    )
    for headers, status in cases:
        async with process.client(**headers) as client:
            answer = await client.get(f"/fhir/{world.address['normal']}", headers=BREAKING)
            assert answer.status_code == status, answer.text


async def test_a_consent_with_too_many_rules_denies_everything(worlds: dict[str, World]) -> None:
    world = worlds["in the future"]
    rules = [{"type": "permit", "code": [coded("http://loinc.org", f"{number}-0")]} for number in range(201)]
    body = {**consent("the doctor", world.address["patient"], "x"), "provision": {"provision": rules}}
    address = await _posted(world, body)
    await _hear(world.process)
    async with world.client("doctor") as doctor:
        assert (await doctor.get(world.address["normal"])).status_code == 404
    async with world.client("admin") as admin:
        assert (await admin.delete(address, headers=BREAKING)).status_code == 204
    await _hear(world.process)


def _member(name: str, tag: str) -> dict[str, str]:
    return {"reference": f"Practitioner/{name}-{tag}"}


async def test_organizations_teams_and_groups_are_those_who_belong_to_them(worlds: dict[str, World]) -> None:
    """`doctor` works in a ward of the hospital, `another` elsewhere; of `admin` nobody knows.

    `the writer` is the doctor, but writes roles too: where they work is not believed.
    """
    world = worlds["in the future"]
    async with world.client("doctor") as client:
        tag = (await client.get("http://test/auth/me")).json()["fhir_user"].removeprefix("Practitioner/dr-")
    name = unique()
    async with world.client("admin") as client:
        role = {"scopes": "user/*.rs server/clearance.V"}
        saved = await client.put(
            "http://test/auth/roles/test_reading", json=role, headers={"Content-Type": "application/json"}
        )
        assert saved.status_code == 204, saved.text
    await world.process.changes.ask()
    headers = {
        "doctor": await world.process.bearer(await world.process.user("test_reading", fhir_user=f"Practitioner/dr-{tag}")),
        "another": await world.process.bearer(await world.process.user("test_reading", fhir_user=f"Practitioner/another-{tag}")),
        "the writer": world.headers["doctor"],
        "admin": world.headers["admin"],
    }  # fmt: skip
    hospital, ward, elsewhere, team, group = (
        f"{kind}-{name}" for kind in ("hospital", "ward", "else", "team", "group")
    )
    role, other_role = f"dr-{name}", f"another-{name}"

    def of(id: str) -> dict[str, str]:
        return {"reference": f"Organization/{id}"}

    def works(id: str, who: str, where: str, **more: Any) -> dict[str, Any]:
        return {
            "resourceType": "PractitionerRole",
            "id": id,
            "practitioner": _member(who, tag),
            "organization": of(where),
            **more,
        }

    past = {"period": {"start": "2019-01-01", "end": "2020-01-01"}}
    listed: tuple[dict[str, Any], ...] = (
        {"resourceType": "Organization", "id": hospital, "name": "Hospital"},
        {"resourceType": "Organization", "id": ward, "name": "Ward", "partOf": of(hospital)},
        {"resourceType": "Organization", "id": elsewhere, "name": "Elsewhere"},
        {"resourceType": "CareTeam", "id": team, "status": "active", "participant": [{"member": _member("dr", tag)}, {"member": _member("another", tag), **past}]},
        {"resourceType": "Group", "id": group, "type": "practitioner", "actual": True, "member": [{"entity": _member("dr", tag)}, {"entity": _member("another", tag), "inactive": True}]},
        works(role, "dr", ward),
        works(other_role, "another", elsewhere),
        works(f"former-{name}", "another", ward, **past),
        works(f"never-{name}", "another", ward, active=False),
    )  # fmt: skip
    async with world.client("admin") as admin:
        puts = [entry("PUT", f"{body['resourceType']}/{body['id']}", body) for body in listed]
        assert (await admin.post("", json=bundle(*puts))).status_code == 200

    async def statuses(said: dict[str, Any]) -> list[int]:
        address = await _posted(world, {**consent("everything to everybody", world.address["patient"], "x"), **said})
        await _hear(world.process)
        await world.process.access.authentication.forget(frozenset({"roles"}))  # as a minute does
        found = []
        for who in headers.values():
            async with world.process.client(**who) as client:
                found.append((await client.get(f"/fhir/{world.address['normal']}")).status_code)
        async with world.client("admin") as admin:
            assert (await admin.delete(address, headers=BREAKING)).status_code == 204
        await _hear(world.process)
        return found

    for reference in (
        f"Organization/{hospital}", f"Organization/{ward}", f"CareTeam/{team}", f"Group/{group}", f"PractitionerRole/{role}",
    ):  # fmt: skip
        assert await statuses(deny(actor=[actor(reference)])) == [404, 200, 404, 404], reference
        assert await statuses({**OUT, "provision": permit(actor=[actor(reference)])}) == [200, 404, 404, 404], reference
    async with world.client("admin") as admin:  # the doctor changes the hospital
        moved = works(role, "dr", elsewhere)
        assert (await admin.put(f"PractitionerRole/{role}", json=moved)).status_code == 200
    assert await statuses(deny(actor=[actor(f"Organization/{ward}")])) == [200, 200, 404, 404]
    assert await statuses(deny(actor=[actor(f"Organization/{elsewhere}")])) == [404, 404, 404, 404]
