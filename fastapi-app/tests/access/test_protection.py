"""Who × what is labelled × how: what is kept from a caller is not there, whatever the way to it.

`SEEN` says what each caller sees of a patient's record; all ways follow from that.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from api.building import bundle, entry, unique

from .conftest import Process, start
from .test_table import READS

SYSTEM = "urn:test:protection"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
NO_SUCH_VERSION = {"If-Match": 'W/"99"'}
TYPES = {
    "patient": "Patient", "normal": "Observation", "restricted": "Observation", "secret": "Observation",
    "encounter": "Encounter", "condition": "Condition", "appointment": "Appointment",
}  # fmt: skip
EVERYTHING = frozenset(TYPES)
LABELS = {"restricted": "R", "secret": "V", "encounter": "R", "appointment": "V"}
UP_TO_NORMAL = EVERYTHING - LABELS.keys()
UP_TO_R = EVERYTHING - {"secret", "appointment"}

# who → what they see of the record, and why
SEEN = {
    "nurse": UP_TO_NORMAL,  # no clearance
    "practitioner": UP_TO_R,  # cleared for R
    "admin": EVERYTHING,  # cleared for V
    "the patient": EVERYTHING,  # it is their own
    "the patient, who is a nurse": EVERYTHING,  # one's own record is not kept from one
    "another patient, who is a nurse": UP_TO_NORMAL,
    "a program of an administrator": EVERYTHING,  # it has the clearance of its user
    "a program that leaves labels out": EVERYTHING - {"restricted", "encounter"},  # by its scope
}
_NOT_R = f"system/*.cruds?_security:not={CONFIDENTIALITY}|R"
WHO: dict[str, tuple[tuple[str, ...], str | None, str | None]] = {  # roles, who they are, the scope of their program
    "nurse": (("nurse",), None, None),
    "practitioner": (("practitioner",), None, None),
    "admin": (("admin",), None, None),
    "the patient": (("patient",), "patient", None),
    "the patient, who is a nurse": (("patient", "nurse"), "patient", None),
    "another patient, who is a nurse": (("patient", "nurse"), "other", None),
    "a program of an administrator": (("admin",), None, "system/*.cruds"),
    "a program that leaves labels out": (("admin",), None, _NOT_R),
}


@dataclass
class World:
    """A record, and who asks for it."""

    process: Process
    tag: str
    bodies: dict[str, dict[str, Any]]
    address: dict[str, str]
    headers: dict[str, dict[str, str]]
    since: str

    def client(self, who: str) -> httpx.AsyncClient:
        client = self.process.client(**self.headers[who])
        client.base_url = httpx.URL("http://test/fhir")
        return client

    async def found(self, client: httpx.AsyncClient, url: str) -> frozenset[str]:
        """The names of what all pages of a search or a history have."""
        names = {address: name for name, address in self.address.items()}
        found: set[str] = set()
        following: str | None = url
        while following is not None:
            answer = await client.get(following)
            if answer.status_code == 403:
                return frozenset()
            assert answer.status_code == 200, answer.text
            page = answer.json()
            urls = ["/".join(urlsplit(one["fullUrl"]).path.split("/")[-2:]) for one in page.get("entry", ())]
            found |= {names[url] for url in urls if url in names}
            following = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
        return frozenset(found)


def record(tag: str) -> dict[str, dict[str, Any]]:
    """A patient with what belongs to them, labelled."""

    def made(name: str, **elements: Any) -> dict[str, Any]:
        label = [{"system": CONFIDENTIALITY, "code": LABELS[name]}] if name in LABELS else None
        meta = {"tag": [{"system": SYSTEM, "code": tag}], **({"security": label} if label else {})}
        identifier = [{"system": SYSTEM, "value": f"{name}-{tag}"}]
        return {
            "resourceType": TYPES[name],
            "id": f"{name}-{tag}",
            "meta": meta,
            "identifier": identifier,
            **elements,
        }

    subject = {"reference": f"Patient/patient-{tag}"}
    seen = {"reference": f"Encounter/encounter-{tag}"}
    code = {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]}
    return {
        "patient": made("patient", active=True),
        "normal": made("normal", status="final", code=code, subject=subject, encounter=seen),
        "restricted": made("restricted", status="final", code=code, subject=subject),
        "secret": made("secret", status="final", code=code, subject=subject),
        "encounter": made("encounter", status="finished", subject=subject, **{"class": {"code": "AMB"}}),
        "condition": made("condition", code={"text": "x"}, subject=subject, onsetDateTime="2021-06-01"),
        "appointment": made("appointment", status="proposed", participant=[{"status": "accepted", "actor": subject}]),
    }


async def world_of(process: Process) -> World:
    """A record that is stored, with the callers of `WHO`."""
    tag = unique()
    bodies = record(tag)
    address = {name: f"{TYPES[name]}/{body['id']}" for name, body in bodies.items()}
    people = {"patient": address["patient"], "other": f"Patient/other-{tag}"}
    headers = {}
    for name, (roles, person, scope) in WHO.items():
        user = await process.user(*roles, fhir_user=people[person] if person else None)
        headers[name] = await (process.bearer(user) if scope is None else process.key(user, scope))
    since = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    world = World(process, tag, bodies, address, headers, since)
    async with world.client("admin") as client:
        stored = await client.post("", json=bundle(*(entry("PUT", address[name], bodies[name]) for name in bodies)))
        assert stored.status_code == 200, stored.text
    return world


@pytest.fixture(scope="module")
async def world(dsn: str) -> AsyncIterator[World]:
    process, opened = await start(dsn)
    yield await world_of(process)
    await opened.close()


Way = Callable[[World, httpx.AsyncClient, frozenset[str]], Awaitable[None]]


def _reading(read: Callable[[Any, httpx.AsyncClient, str], Awaitable[int]]) -> Way:
    async def way(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
        for name in sorted(EVERYTHING):
            assert await read(world, client, name) == (200 if name in seen else 404), name

    way.__name__ = read.__name__
    return way


async def by_type(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    for resource_type in set(TYPES.values()):
        expected = {name for name in seen if TYPES[name] == resource_type}
        assert await world.found(client, f"{resource_type}?_tag={world.tag}") == expected, resource_type


async def by_post(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await client.post("Observation/_search", content=f"_tag={world.tag}&_count=50", headers=form)
    assert len(answer.json().get("entry", ())) == len([name for name in seen if TYPES[name] == "Observation"])


async def by_page(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    observations = {name for name in seen if TYPES[name] == "Observation"}
    for order in ("-_lastUpdated", "identifier", "patient.identifier"):
        assert await world.found(client, f"Observation?_tag={world.tag}&_count=1&_sort={order}") == observations


async def total(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    for resource_type in ("Observation", "Patient", "Appointment"):
        expected = len([name for name in seen if TYPES[name] == resource_type])
        for extra in ("_summary=count", "_count=0", "_total=accurate&_count=1"):
            answer = await client.get(f"{resource_type}?_tag={world.tag}&{extra}")
            assert answer.json()["total"] == expected, (resource_type, extra)


async def by_id_and_identifier(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    for name, resource_type in TYPES.items():
        for asked in (f"_id={name}-{world.tag}", f"identifier={SYSTEM}|{name}-{world.tag}"):
            assert await world.found(client, f"{resource_type}?{asked}") == seen & {name}, name


async def by_label(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    for code in "RV":
        expected = {name for name in seen if TYPES[name] == "Observation" and LABELS.get(name) == code}
        url = f"Observation?_tag={world.tag}&_security={CONFIDENTIALITY}|{code}"
        assert await world.found(client, url) == expected


async def over_all_types(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    assert await world.found(client, f"?_tag={world.tag}&_count=2") == seen


async def in_compartment(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    assert await world.found(client, f"{world.address['patient']}/*?_tag={world.tag}") == seen


async def include(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    url = f"Observation?_id=normal-{world.tag}&_include=Observation:encounter&_include=Observation:subject"
    found = await world.found(client, url)
    assert found == (seen & {"normal", "encounter", "patient"} if "normal" in seen else frozenset())


async def revinclude(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    url = f"Patient?_tag={world.tag}&_revinclude=Observation:subject&_revinclude=Appointment:actor"
    expected = {name for name in seen if TYPES[name] in ("Observation", "Patient", "Appointment")}
    assert await world.found(client, url) == (expected if "patient" in seen else frozenset())


async def chain(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    url = f"Observation?encounter.identifier={SYSTEM}|encounter-{world.tag}"
    assert await world.found(client, url) == ({"normal"} if {"normal", "encounter"} <= seen else frozenset())


async def has(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    for name, parameter in (("secret", "Observation:patient"), ("appointment", "Appointment:patient")):
        url = f"Patient?_has:{parameter}:identifier={SYSTEM}|{name}-{world.tag}"
        assert await world.found(client, url) == ({"patient"} if {"patient", name} <= seen else frozenset()), name


async def history_of_type(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    for resource_type in ("Observation", "Appointment"):
        found = await world.found(client, f"{resource_type}/_history?_count=200&_since={world.since}")
        assert found == {name for name in seen if TYPES[name] == resource_type}


async def history_of_all(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    assert await world.found(client, f"_history?_count=200&_since={world.since}") == seen


async def in_bundles(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    asked = [entry("GET", f"Observation?_tag={world.tag}"), entry("GET", f"Observation?_tag={world.tag}&_count=0")]
    for kind in ("batch", "transaction"):
        listed, counted = [
            one["resource"] for one in (await client.post("", json=bundle(*asked, kind=kind))).json()["entry"]
        ]
        assert listed["total"] == counted["total"] == len([name for name in seen if TYPES[name] == "Observation"])


async def writing(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    """What is not seen is not written. What is would be, but for a precondition."""
    for name in sorted(EVERYTHING - seen):
        body = {**world.bodies[name], "meta": {"tag": world.bodies[name]["meta"]["tag"]}}
        criteria = f"{TYPES[name]}?identifier={SYSTEM}|{name}-{world.tag}"
        for attempt in (
            await client.put(world.address[name], json=body, headers=NO_SUCH_VERSION),
            await client.put(criteria, json=body, headers=NO_SUCH_VERSION),
            await client.post("", json=bundle(entry("PUT", world.address[name], body, ifMatch='W/"99"'))),
        ):
            assert attempt.status_code in (403, 404), (name, attempt.text)
        for attempt in (
            await client.delete(world.address[name], headers=NO_SUCH_VERSION),
            await client.post("", json=bundle(entry("DELETE", world.address[name], ifMatch='W/"99"'))),
        ):
            assert attempt.status_code in (403, 404), (name, attempt.text)
        reference = {"reference": criteria}
        answer = await client.post(
            "",
            json=bundle(entry("POST", "Basic", {"resourceType": "Basic", "code": {"text": "x"}, "subject": reference})),
        )
        assert answer.status_code in (400, 403), answer.text  # nothing matches


SEARCHES = (
    by_type, by_post, by_page, total, by_id_and_identifier, by_label, over_all_types, in_compartment, include,
    revinclude, chain, has, history_of_type, history_of_all, in_bundles, writing,
)  # fmt: skip
WAYS = (*map(_reading, READS), *SEARCHES)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("who", SEEN)
async def test_labels(world: World, who: str, way: Way) -> None:
    async with world.client(who) as client:
        await way(world, client, SEEN[who])


@pytest.mark.parametrize(
    ("who", "label", "status"),
    [
        ("nurse", None, 201),
        ("nurse", "N", 201),
        ("nurse", "R", 403),  # what may not be seen may not be written
        ("practitioner", "R", 201),
        ("practitioner", "V", 403),
        ("admin", "V", 201),
        ("a program that leaves labels out", "R", 403),
    ],
)
async def test_writing_labels(world: World, who: str, label: str | None, status: int) -> None:
    meta = {"security": [{"system": CONFIDENTIALITY, "code": label}]} if label else {}
    subject = {"reference": world.address["patient"]}
    body = {"resourceType": "Observation", "meta": meta, "status": "final", "code": {"text": "x"}, "subject": subject}
    async with world.client(who) as client:
        answer = await client.post("Observation", json=body if meta else {**body, "meta": {"tag": [{"code": "x"}]}})
        assert answer.status_code == status, answer.text
        if status == 201 and label in ("R", "V"):
            address = urlsplit(answer.headers["location"]).path.partition("/_history")[0].removeprefix("/fhir/")
            async with world.client("nurse") as nurse:
                assert (await nurse.get(address)).status_code == 404


async def test_a_later_label_takes_older_versions_with_it_and_comes_off_again_for_all(world: World) -> None:
    subject = {"reference": world.address["patient"]}
    body = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": subject}
    async with world.client("admin") as admin, world.client("nurse") as nurse:
        created = (await admin.post("Observation", json=body)).json()
        address = f"Observation/{created['id']}"
        label = {
            "resourceType": "Parameters",
            "parameter": [{"name": "meta", "valueMeta": {"security": [{"system": CONFIDENTIALITY, "code": "R"}]}}],
        }
        assert (await nurse.get(f"{address}/_history/1")).status_code == 200
        assert (await admin.post(f"{address}/$meta-add", json=label)).status_code == 200
        for url in (address, f"{address}/_history/1", f"{address}/_history"):
            assert (await nurse.get(url)).status_code == 404
        assert (await admin.post(f"{address}/$meta-delete", json=label)).status_code == 200
        assert (await nurse.get(address)).status_code == 200
        assert len((await nurse.get(f"{address}/_history")).json()["entry"]) == 2  # all but the one with the label
