"""Who × what × how: each caller, each way to a resource, and whether it leads there.

What each caller may do with each resource stands in `WHO`. All ways follow from that: what may not be read is not found
(or, if nothing of the type may be, forbidden), what may not be searched is in no answer and no total, leads nowhere and
comes along with nothing, and what may not be written is forbidden.
"""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from api.building import bundle, entry, unique

from .conftest import Process, start

SYSTEM = "urn:test:access"
ALL = frozenset({"patA", "patB", "labA", "vitA", "labB", "byA", "encA", "appA", "devA", "pract", "org"})
OBSERVATIONS = frozenset({"labA", "vitA", "labB", "byA"})
RECORD_A = frozenset({"patA", "labA", "vitA", "encA", "appA", "devA"})
LABS = frozenset({"labA", "labB"})
NOTHING: frozenset[str] = frozenset()
TYPES = {
    "patA": "Patient", "patB": "Patient", "labA": "Observation", "vitA": "Observation", "labB": "Observation",
    "byA": "Observation", "encA": "Encounter", "appA": "Appointment", "devA": "Device", "pract": "Practitioner",
    "org": "Organization",
}  # fmt: skip
SUBJECT = {"labA": "patA", "vitA": "patA", "encA": "patA", "labB": "patB", "byA": "patB"}
PERFORMER = {"labA": "pract", "byA": "patA", "labB": "org"}


@dataclass(frozen=True)
class Who:
    """A caller: the roles and what a token or key is narrowed to; and what may be read, searched, updated, deleted.

    `creates` are those of which a copy may be created. `kind` is how the caller proves who it is.
    """

    roles: tuple[str, ...]
    reads: frozenset[str]
    searches: frozenset[str]
    updates: frozenset[str] = NOTHING
    deletes: frozenset[str] = NOTHING
    creates: frozenset[str] = NOTHING
    kind: str = "token"
    scope: str | None = None
    is_patient_a: bool = False
    custom: str | None = None

    def has(self, permission: frozenset[str], resource_type: str) -> bool:
        return any(TYPES[name] == resource_type for name in permission)


WHO = {
    "admin": Who(("admin",), ALL, ALL, ALL, ALL, ALL),
    "practitioner": Who(("practitioner",), ALL, ALL, ALL, ALL, ALL),
    "nurse": Who(("nurse",), ALL, ALL, OBSERVATIONS | {"encA"}, NOTHING, OBSERVATIONS | {"encA"}),
    "patient": Who(("patient",), RECORD_A, RECORD_A, is_patient_a=True),
    "patient without a record": Who(("patient",), NOTHING, NOTHING),
    "auditor": Who(("auditor",), NOTHING, NOTHING),
    "patient and nurse": Who(
        ("patient", "nurse"), ALL, ALL, OBSERVATIONS | {"encA"}, NOTHING, OBSERVATIONS | {"encA"}, is_patient_a=True
    ),
    "an app of the patient's": Who(
        ("patient",),
        OBSERVATIONS & RECORD_A,
        OBSERVATIONS & RECORD_A,
        is_patient_a=True,
        scope="patient/Observation.rs",
    ),
    "an app of the patient's that asks for more": Who(
        ("patient",), RECORD_A, RECORD_A, is_patient_a=True, scope="user/*.cruds system/*.cruds"
    ),
    "an app about the patient, of a practitioner": Who(
        ("practitioner",), RECORD_A, RECORD_A, scope="patient/*.rs", is_patient_a=True
    ),
    "a laboratory's program": Who(
        ("admin",), LABS, LABS, LABS, LABS, LABS, "key", "system/Observation.cruds?category=laboratory"
    ),
    "a program with the former form": Who(
        ("admin",), OBSERVATIONS, OBSERVATIONS, kind="key", scope="user/Observation.read"
    ),
    "a program that only reads": Who(("admin",), OBSERVATIONS, NOTHING, kind="key", scope="system/Observation.r"),
    "a program that only searches": Who(("admin",), NOTHING, OBSERVATIONS, kind="key", scope="system/Observation.s"),
    "a program that only creates": Who(
        ("admin",), NOTHING, NOTHING, creates=OBSERVATIONS, kind="key", scope="system/Observation.c"
    ),
    "a program of an auditor": Who(("auditor",), NOTHING, NOTHING, kind="key", scope="system/*.cruds"),
    "who writes the own record": Who(
        ("test_own",),
        RECORD_A,
        RECORD_A,
        RECORD_A,
        RECORD_A,
        RECORD_A - {"patA"},
        is_patient_a=True,
        custom="patient/*.cruds",
    ),
}


@dataclass
class World:
    """What is stored, who calls, and the addresses of the resources by name."""

    process: Process
    tag: str
    address: dict[str, str]
    bodies: dict[str, dict[str, Any]]
    headers: dict[str, dict[str, str]]

    def client(self, who: str) -> httpx.AsyncClient:
        client = self.process.client(**self.headers[who])
        client.base_url = httpx.URL("http://test/fhir")
        return client

    def names(self, addresses: set[str]) -> frozenset[str]:
        """The names of those of these addresses that this world has."""
        known = {address: name for name, address in self.address.items()}
        return frozenset(known[address] for address in addresses if address in known)


def _bodies(tag: str) -> dict[str, dict[str, Any]]:
    def made(resource_type: str, name: str, /, **elements: Any) -> dict[str, Any]:
        return {
            "resourceType": resource_type,
            "id": f"{name}-{tag}",
            "meta": {"tag": [{"system": SYSTEM, "code": tag}]},
            "identifier": [{"system": SYSTEM, "value": f"{name}-{tag}"}],
            **elements,
        }

    def to(name: str) -> dict[str, str]:
        return {"reference": f"{TYPES[name]}/{name}-{tag}"}

    def observed(name: str, category: str, subject: str, *performers: str) -> dict[str, Any]:
        return made(
            "Observation", name, status="final", code={"text": "x"}, subject=to(subject),
            category=[{"coding": [{"code": category}]}], performer=[to(performer) for performer in performers] or None,
        )  # fmt: skip

    listed = [
        made("Patient", "patA", managingOrganization=to("org")),
        made("Patient", "patB", link=[{"other": to("patA"), "type": "seealso"}]),
        observed("labA", "laboratory", "patA", "pract"),
        observed("vitA", "vital-signs", "patA"),
        observed("labB", "laboratory", "patB", "org"),
        observed("byA", "survey", "patB", "patA"),
        made("Encounter", "encA", status="finished", **{"class": {"code": "AMB"}}, subject=to("patA")),
        made("Appointment", "appA", status="proposed", participant=[{"status": "accepted", "actor": to("patA")}]),
        made("Device", "devA", patient=to("patA")),
        made("Practitioner", "pract"),
        made("Organization", "org", active=True, name="Hospital"),
    ]
    cleaned = [{name: value for name, value in body.items() if value is not None} for body in listed]
    return {body["id"].partition("-")[0]: body for body in cleaned}


@pytest.fixture(scope="module")
async def world(dsn: str) -> AsyncIterator[World]:
    process, pool = await start(dsn)
    tag = unique()
    bodies = _bodies(tag)
    address = {name: f"{TYPES[name]}/{body['id']}" for name, body in bodies.items()}
    admin = await process.bearer(await process.user("admin"))
    async with process.client(**admin) as client:
        puts = [entry("PUT", address[name], bodies[name]) for name in bodies]
        items = [{"item": {"reference": address[name]}} for name in bodies]
        listed = {"resourceType": "List", "id": f"list-{tag}", "status": "current", "mode": "working", "entry": items}
        stored = await client.post("/fhir", json=bundle(*puts, entry("PUT", f"List/list-{tag}", listed)))
        assert stored.status_code == 200, stored.text
        for custom in {who.custom for who in WHO.values() if who.custom}:
            saved = await client.put(
                "/auth/roles/test_own", json={"scopes": custom}, headers={"Content-Type": "application/json"}
            )
            assert saved.status_code == 204, saved.text
    await process.changes.ask()
    headers = {}
    for name, who in WHO.items():
        user = await process.user(*who.roles, fhir_user=address["patA"] if who.is_patient_a else None)
        if who.kind == "key":
            headers[name] = await process.key(user, str(who.scope))
        else:
            headers[name] = await process.bearer(user, **({"scope": who.scope} if who.scope else {}))
    yield World(process, tag, address, bodies, headers)
    await pool.close()


# Ways to read one resource: each gives the status with which it is answered.


async def read(world: World, client: httpx.AsyncClient, name: str) -> int:
    return (await client.get(world.address[name])).status_code


async def head(world: World, client: httpx.AsyncClient, name: str) -> int:
    return (await client.head(world.address[name])).status_code


async def conditional_read(world: World, client: httpx.AsyncClient, name: str) -> int:
    status = (await client.get(world.address[name], headers={"If-None-Match": 'W/"1"'})).status_code
    return 200 if status == 304 else status


async def vread(world: World, client: httpx.AsyncClient, name: str) -> int:
    return (await client.get(f"{world.address[name]}/_history/1")).status_code


async def history(world: World, client: httpx.AsyncClient, name: str) -> int:
    answer = await client.get(f"{world.address[name]}/_history")
    assert answer.status_code != 200 or len(answer.json()["entry"]) == 1
    return answer.status_code


async def in_batch(world: World, client: httpx.AsyncClient, name: str) -> int:
    answer = await client.post("", json=bundle(entry("GET", world.address[name]), kind="batch"))
    return int(answer.json()["entry"][0]["response"]["status"].split()[0])


async def in_transaction(world: World, client: httpx.AsyncClient, name: str) -> int:
    return (await client.post("", json=bundle(entry("GET", world.address[name])))).status_code


async def by_operation(world: World, client: httpx.AsyncClient, name: str) -> int:
    return (await client.get(f"{world.address[name]}/$meta")).status_code


READS = (read, head, conditional_read, vread, history, in_batch, in_transaction, by_operation)


@pytest.mark.parametrize("way", READS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("who", WHO)
async def test_reading(world: World, who: str, way: Callable[..., Awaitable[int]]):
    caller = WHO[who]
    async with world.client(who) as client:
        for name in sorted(ALL):
            expected = 200 if name in caller.reads else 404 if caller.has(caller.reads, TYPES[name]) else 403
            found = await way(world, client, name)
            assert found == expected, name


# Ways to search: each gives the names that were found, of those that it would find if everything could be seen.


async def _found(world: World, client: httpx.AsyncClient, url: str, mode: str | None = None) -> frozenset[str] | None:
    """What all pages of a search have; None if it is forbidden."""
    found: set[str] = set()
    following: str | None = url
    while following is not None:
        answer = await client.get(following)
        if answer.status_code == 403:
            return None
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found |= {
            f"{one['resource']['resourceType']}/{one['resource']['id']}"
            for one in page.get("entry", ())
            if mode in (None, one["search"]["mode"])
        }
        following = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    return world.names(found)


async def by_type(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    for resource_type in set(TYPES.values()):
        expected = {name for name in seen if TYPES[name] == resource_type}
        found = await _found(world, client, f"{resource_type}?_tag={world.tag}")
        assert (found or frozenset()) == expected


async def by_post(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    answer = await client.post(
        "Observation/_search",
        content=f"_tag={world.tag}",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    ids = (
        {f"Observation/{one['resource']['id']}" for one in answer.json().get("entry", ())}
        if answer.status_code == 200
        else set()
    )
    assert world.names(ids) == seen & OBSERVATIONS


async def by_page(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    found = await _found(world, client, f"Observation?_tag={world.tag}&_count=1&_sort=-_lastUpdated")
    assert (found or frozenset()) == seen & OBSERVATIONS


async def total(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    for extra in ("_summary=count", "_count=0", "_total=accurate&_count=1"):
        answer = await client.get(f"Observation?_tag={world.tag}&{extra}")
        assert answer.json().get("total", 0) == len(seen & OBSERVATIONS), extra


async def by_id(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    for name in OBSERVATIONS:
        found = await _found(world, client, f"Observation?_id={world.bodies[name]['id']}")
        assert (found or frozenset()) == seen & {name}


async def by_identifier_of_each(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    for name, resource_type in TYPES.items():
        found = await _found(world, client, f"{resource_type}?identifier={SYSTEM}|{name}-{world.tag}")
        assert (found or frozenset()) == seen & {name}


async def over_all_types(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    types = ",".join(sorted(set(TYPES.values())))
    assert (await _found(world, client, f"?_type={types}&_tag={world.tag}") or frozenset()) == seen
    assert (await _found(world, client, f"?_tag={world.tag}") or frozenset()) == seen


async def in_compartment(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    own = await _found(world, client, f"{world.address['patB']}/Observation?_tag={world.tag}")
    assert (own or frozenset()) == seen & {"labB", "byA"}
    everything = await _found(world, client, f"{world.address['patA']}/*?_tag={world.tag}")
    assert (everything or frozenset()) == seen & {"patA", "patB", "labA", "vitA", "byA", "encA", "appA"}


async def include(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    url = f"Observation?_tag={world.tag}&_include=Observation:subject&_include=Observation:performer"
    found = await _found(world, client, url, "include")
    led = {SUBJECT[name] for name in seen & OBSERVATIONS} | {
        PERFORMER[name] for name in seen & OBSERVATIONS if name in PERFORMER
    }
    assert (found or frozenset()) == seen & led


async def include_iterated(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    url = f"Observation?_tag={world.tag}&_include=Observation:subject&_include:iterate=Patient:organization&_include:iterate=Patient:link"
    found = await _found(world, client, url, "include")
    patients = seen & {SUBJECT[name] for name in seen & OBSERVATIONS}
    further = {"org"} if "patA" in patients else set()
    further |= {"patA"} if "patB" in patients else set()
    if "patA" in seen & further:
        further |= {"org"}
    assert (found or frozenset()) == patients | (seen & further)


async def revinclude(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    url = f"Patient?_tag={world.tag}&_revinclude=Observation:subject&_revinclude=Encounter:subject&_revinclude=Device:patient"
    found = await _found(world, client, url, "include")
    led = {name for name, subject in {**SUBJECT, "devA": "patA"}.items() if subject in seen}
    assert (found or frozenset()) == seen & led


async def chain(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    for patient in ("patA", "patB"):
        found = await _found(world, client, f"Observation?subject:Patient.identifier={patient}-{world.tag}")
        led = {name for name in seen & OBSERVATIONS if SUBJECT[name] == patient and patient in seen}
        assert (found or frozenset()) == led


async def long_chain(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    found = await _found(world, client, f"Observation?patient.organization.identifier=org-{world.tag}")
    led = seen & {"labA", "vitA"} if {"patA", "org"} <= seen else frozenset()
    assert (found or frozenset()) == led


async def chain_negated(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    """Nothing is told by what is not found either: who can't see the patients learns nothing of their identifiers."""
    url = f"Observation?_tag={world.tag}&patient.identifier:not=patA-{world.tag}"
    found = await _found(world, client, url)
    led = {name for name in seen & OBSERVATIONS if SUBJECT[name] == "patB" and "patB" in seen}
    assert (found or frozenset()) == led


async def has(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    for name in OBSERVATIONS:
        found = await _found(world, client, f"Patient?_has:Observation:patient:identifier={SYSTEM}|{name}-{world.tag}")
        assert (found or frozenset()) == (seen & {SUBJECT[name]} if name in seen else frozenset()), name


async def has_in_chain(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    found = await _found(world, client, f"Encounter?patient._has:Observation:patient:identifier=vitA-{world.tag}")
    assert (found or frozenset()) == (seen & {"encA"} if {"patA", "vitA"} <= seen else frozenset())


async def in_a_filter(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    for patient in ("patA", "patB"):
        asked = quote(f"patient.identifier eq {patient}-{world.tag} or patient.identifier eq {patient}-{world.tag}")
        found = await _found(world, client, f"Observation?_tag={world.tag}&_filter={asked}")
        led = {name for name in seen & OBSERVATIONS if SUBJECT[name] == patient and patient in seen}
        assert (found or frozenset()) == led


async def sorted_along_references(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    """The values that an order goes by are those of what is seen: they stand in the links between pages too."""
    for order in ("patient.identifier", "-patient.identifier", "patient.organization.identifier"):
        following: str | None = f"Observation?_tag={world.tag}&_count=1&_sort={order}"
        while following is not None:
            answer = await client.get(following)
            if answer.status_code == 403:
                return
            assert answer.status_code == 200, answer.text
            links = {link["relation"]: link["url"] for link in answer.json()["link"]}
            following = links.get("next")
            cursor = parse_qs(urlsplit(following or "").query).get("_cursor", [""])[0]
            position = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode(errors="replace").lower()
            for unseen in {"patA", "patB", "org"} - seen:
                assert f"{unseen}-{world.tag}".lower() not in position


async def in_a_list(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    """The list is of no patient: who does not see it finds nothing by it."""
    found = await _found(world, client, f"Observation?_list=list-{world.tag}")
    assert (found or frozenset()) == (seen & OBSERVATIONS if seen == ALL else frozenset())


async def with_contained(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    for contained in ("both", "true"):
        found = await _found(world, client, f"Observation?_tag={world.tag}&_contained={contained}")
        assert (found or frozenset()) == (seen & OBSERVATIONS if contained == "both" else frozenset())


async def in_part(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    for part in ("_elements=subject", "_summary=true", "_summary=data", "_summary=text"):
        found = await _found(world, client, f"Observation?_tag={world.tag}&{part}")
        assert (found or frozenset()) == seen & OBSERVATIONS, part


async def by_words(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    found = await _found(world, client, f"Organization?_content=Hospital&_tag={world.tag}")
    assert (found or frozenset()) == seen & {"org"}


async def negated(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    """What all have is told by nothing that a search leaves out."""
    for asked in (
        "status:not=entered-in-error",
        "category:not=x",
        "date:missing=true",
        "_filter=not (status eq amended)",
    ):
        found = await _found(world, client, f"Observation?_tag={world.tag}&{asked}")
        assert (found or frozenset()) == seen & OBSERVATIONS, asked


async def audit_events(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    """No `*` stands for them: they are for whose roles name them, and whose token or key is not narrowed."""
    may = (await client.get("AuditEvent?_count=1")).status_code == 200
    myself = (await client.get("http://test/auth/me")).json()
    assert may == (myself["roles"][0] in ("admin", "auditor") and len(myself["scopes"]) == 1)
    if not may:
        for url in ("AuditEvent/_history", "AuditEvent/x"):
            assert (await client.get(url)).status_code == 403
        listed = await client.get("?_type=AuditEvent,Patient&_count=200")
        types = {one["resource"]["resourceType"] for one in listed.json().get("entry", ())}
        assert "AuditEvent" not in types


async def explained(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    """A plan tells of rows: it is for those who may see all of them, whatever their labels."""
    answer = await client.get(f"Observation?_tag={world.tag}&_explain=true&_count=0")
    assert answer.status_code in ((200, 400) if seen >= OBSERVATIONS else (400, 403))
    async with world.client("admin") as admin:
        assert (await admin.get(f"Observation?_tag={world.tag}&_explain=true&_count=0")).status_code == 200


async def history_of_type(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    for resource_type in ("Observation", "Patient", "Organization"):
        found = await _in_history(world, client, f"{resource_type}/_history?_count=200")
        assert found == {name for name in seen if TYPES[name] == resource_type}


async def history_of_all(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    assert await _in_history(world, client, "_history?_count=500") == seen


async def _in_history(world: World, client: httpx.AsyncClient, url: str) -> frozenset[str]:
    found: set[str] = set()
    following: str | None = url
    for _ in range(5):
        if following is None:
            break
        answer = await client.get(following)
        if answer.status_code == 403:
            break
        page = answer.json()
        found |= {"/".join(urlsplit(one["fullUrl"]).path.split("/")[-2:]) for one in page.get("entry", ())}
        following = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    return world.names(found)


async def searched_in_transaction(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    asked = [
        entry("GET", f"Observation?_tag={world.tag}"),
        entry("GET", f"Observation?_tag={world.tag}&_summary=count"),
    ]
    answer = await client.post("", json=bundle(*asked))
    if answer.status_code == 403:
        assert not seen & OBSERVATIONS
        return
    listed, counted = (one["resource"] for one in answer.json()["entry"])
    ids = {f"Observation/{one['resource']['id']}" for one in listed.get("entry", ())}
    assert world.names(ids) == seen & OBSERVATIONS
    assert counted["total"] == len(seen & OBSERVATIONS)


async def searched_in_batch(world: World, client: httpx.AsyncClient, seen: frozenset[str]) -> None:
    answer = await client.post("", json=bundle(entry("GET", f"Observation?_tag={world.tag}"), kind="batch"))
    one = answer.json()["entry"][0]
    ids = {f"Observation/{e['resource']['id']}" for e in one.get("resource", {}).get("entry", ())}
    assert world.names(ids) == seen & OBSERVATIONS


SEARCHES = (
    by_type, by_post, by_page, total, by_id, by_identifier_of_each, over_all_types, in_compartment, include,
    include_iterated, revinclude, chain, long_chain, chain_negated, has, has_in_chain, in_a_filter, sorted_along_references, explained, history_of_type, history_of_all,
    searched_in_batch, searched_in_transaction, in_a_list, with_contained, in_part, by_words, negated, audit_events,
)  # fmt: skip


@pytest.mark.parametrize("way", SEARCHES, ids=lambda way: way.__name__)
@pytest.mark.parametrize("who", WHO)
async def test_searching(world: World, who: str, way: Callable[..., Awaitable[None]]):
    async with world.client(who) as client:
        await way(world, client, WHO[who].searches)


# Ways to write. What may be written is asked for with a precondition that does not hold, so that nothing changes.

NO_SUCH_VERSION = {"If-Match": 'W/"99"'}


async def update(world: World, client: httpx.AsyncClient, caller: Who, name: str) -> None:
    answer = await client.put(world.address[name], json=world.bodies[name], headers=NO_SUCH_VERSION)
    assert answer.status_code == (412 if name in caller.updates else 403), answer.text


async def update_in_transaction(world: World, client: httpx.AsyncClient, caller: Who, name: str) -> None:
    change = entry("PUT", world.address[name], world.bodies[name], ifMatch='W/"99"')
    answer = await client.post("", json=bundle(change))
    assert answer.status_code == (412 if name in caller.updates else 403), answer.text


async def update_in_batch(world: World, client: httpx.AsyncClient, caller: Who, name: str) -> None:
    change = entry("PUT", world.address[name], world.bodies[name], ifMatch='W/"99"')
    answer = await client.post("", json=bundle(change, kind="batch"))
    assert answer.json()["entry"][0]["response"]["status"][:3] == ("412" if name in caller.updates else "403")


async def conditional_update(world: World, client: httpx.AsyncClient, caller: Who, name: str) -> None:
    url = f"{TYPES[name]}?identifier={SYSTEM}|{name}-{world.tag}"
    answer = await client.put(url, json=world.bodies[name], headers=NO_SUCH_VERSION)
    may = name in caller.updates & caller.searches
    assert answer.status_code == (412 if may else 403), answer.text


async def delete(world: World, client: httpx.AsyncClient, caller: Who, name: str) -> None:
    answer = await client.delete(world.address[name], headers=NO_SUCH_VERSION)
    assert answer.status_code == _of_deletion(caller, name), answer.text


async def delete_in_transaction(world: World, client: httpx.AsyncClient, caller: Who, name: str) -> None:
    answer = await client.post("", json=bundle(entry("DELETE", world.address[name], ifMatch='W/"99"')))
    assert answer.status_code == _of_deletion(caller, name), answer.text


def _of_deletion(caller: Who, name: str) -> int:
    if name in caller.deletes:
        return 412
    return 403 if name in caller.reads or not caller.has(caller.deletes, TYPES[name]) else 404


async def conditional_delete(world: World, client: httpx.AsyncClient, caller: Who, name: str) -> None:
    if name in caller.deletes & caller.searches:
        return  # it would
    answer = await client.delete(f"{TYPES[name]}?identifier={SYSTEM}|{name}-{world.tag}")
    assert answer.status_code in (
        (204,) if caller.has(caller.searches, TYPES[name]) and name not in caller.searches else (403,)
    )


async def create(world: World, client: httpx.AsyncClient, caller: Who, name: str) -> None:
    copy = {key: value for key, value in world.bodies[name].items() if key not in ("id", "meta", "identifier", "link")}
    answer = await client.post(TYPES[name], json=copy)
    assert answer.status_code == (201 if name in caller.creates else 403), answer.text


async def create_unless_there(world: World, client: httpx.AsyncClient, caller: Who, name: str) -> None:
    copy = {key: value for key, value in world.bodies[name].items() if key not in ("id", "meta", "link")}
    if name in caller.creates and name not in caller.searches:
        return  # what is not seen is not there: it would be created
    criteria = {"If-None-Exist": f"identifier={SYSTEM}|{name}-{world.tag}"}
    answer = await client.post(TYPES[name], json=copy, headers=criteria)
    creates_such = caller.has(caller.creates, TYPES[name]) or caller.custom is not None
    if creates_such and name in caller.searches:
        assert answer.status_code == 200
        assert world.address[name] in answer.headers["location"]
    else:
        assert answer.status_code == 403, answer.text


async def change_meta(world: World, client: httpx.AsyncClient, caller: Who, name: str) -> None:
    if name in caller.updates & caller.reads:
        return  # it would
    body = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "x"}]}}]}
    answer = await client.post(f"{world.address[name]}/$meta-add", json=body)
    assert answer.status_code in (403, 404), answer.text


async def refer_by_criteria(world: World, client: httpx.AsyncClient, caller: Who, name: str) -> None:
    """A reference by criteria leads to what may be found only: else it would tell that it is there."""
    if TYPES[name] != "Patient":
        return
    found = {"reference": f"Patient?identifier={SYSTEM}|{name}-{world.tag}"}
    nothing = {"reference": f"Patient?identifier={SYSTEM}|nobody-{world.tag}"}
    answers = []
    for subject in (found, nothing):
        body = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "subject": subject}
        answers.append(await client.post("", json=bundle(entry("POST", "Observation", body))))
    there, nowhere = answers
    assert nowhere.status_code in (400, 403), nowhere.text
    if name not in caller.searches:
        assert there.status_code == nowhere.status_code, there.text
        assert there.text.replace(name, "nobody") == nowhere.text


async def validate(world: World, client: httpx.AsyncClient, caller: Who, name: str) -> None:
    """Whether something could be deleted is told of what may be read."""
    answer = await client.get(f"{world.address[name]}/$validate?mode=delete")
    assert (answer.status_code == 200) == (name in caller.reads), answer.text


WRITES = (
    refer_by_criteria, validate, update, update_in_transaction, update_in_batch, conditional_update, delete, delete_in_transaction,
    conditional_delete, create, create_unless_there, change_meta,
)  # fmt: skip


@pytest.mark.parametrize("way", WRITES, ids=lambda way: way.__name__)
@pytest.mark.parametrize("who", WHO)
async def test_writing(world: World, who: str, way: Callable[..., Awaitable[None]]):
    async with world.client(who) as client:
        for name in sorted(ALL):
            await way(world, client, WHO[who], name)
    async with world.client("admin") as client:
        for name, address in world.address.items():
            assert (await client.get(address)).json()["meta"]["versionId"] == "1", name


@pytest.mark.parametrize(
    ("who", "status"),
    [
        ("admin", 200),
        ("practitioner", 200),
        ("patient", 403),  # value sets are in nobody's record
        ("a laboratory's program", 403),  # it has scopes for observations
    ],
)
async def test_codes_are_told_to_who_may_search_what_is_stored_of_them(world: World, who: str, status: int) -> None:
    async with world.client(who) as client:
        for asked in ("$expand?", "$validate-code?code=male&"):
            answer = await client.get(f"ValueSet/{asked}url=http://hl7.org/fhir/ValueSet/administrative-gender")
            assert answer.status_code == status, answer.text
