"""Thousands of patients who deny: what a statement has to be told of them, and that it still holds for each."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from api.building import unique

from fhirserver.access.caller import Caller
from fhirserver.access.consents import Denial, Denials
from fhirserver.access.consents.rules import Rule
from fhirserver.access.memberships import WITH_MEMBERS, Membership
from fhirserver.access.policy import Unrestricted
from fhirserver.access.protection import Protected, Protection
from fhirserver.access.purposes import Purposes
from fhirserver.fhir.datatypes.ids import home_bucket
from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.outcomes import NotFound
from fhirserver.fhir.resource_json import parse
from fhirserver.fhir.terminology import BuiltIn
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.create import create
from fhirserver.interactions.history import history
from fhirserver.interactions.permission import visible
from fhirserver.interactions.read import read
from fhirserver.interactions.search import search
from fhirserver.interactions.update import update
from fhirserver.search.query.parse import parse_query
from fhirserver.search.rewrite.narrow import narrowed
from fhirserver.storage.compile.conditions import condition, where
from fhirserver.storage.compile.sql import Arguments

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MANY = 5000


def policy_of(definitions: Definitions, built_in: BuiltIn, patients: Mapping[str, Rule]) -> Protected:
    """What a doctor may see who could see everything, but for what these patients say."""
    denials = Denials(definitions, UTC).changed({name: Denial(name, rule) for name, rule in patients.items()}, 1)
    protection = Protection(definitions, (), lambda: denials, Purposes.load(built_in), lambda: NOW)
    caller = Caller("user", "1", "doctor", fhir_user="Practitioner/dr", membership=Membership(known=WITH_MEMBERS))
    return Protected(Unrestricted(), caller, protection)


def signed_at(number: int) -> Rule:
    """A denial of everything to everybody since a moment of its own."""
    return Rule(denies=True, period=(float(number), float("inf")))


@pytest.fixture(scope="module")
def policy(definitions: Definitions, built_in: BuiltIn) -> Protected:
    return policy_of(definitions, built_in, {f"p{number}": signed_at(number) for number in range(MANY)})


def sizes(arguments: Arguments) -> list[int]:
    """How many values the arguments that are lists have."""
    return sorted(len(value) for value in arguments.values if isinstance(value, list))


@pytest.mark.parametrize(
    ("resource_type", "asked", "most"),
    [
        ("Observation", "patient=p17", 8),  # one record: those in its bucket
        ("Observation", "patient=Patient/nobody", 8),
        ("Observation", "subject=Patient/p17&date=ge2020&_sort=-date", 8),
        ("Patient", "_id=p17", MANY),
        ("Observation", "code=x", MANY),  # anywhere: all of them, but once
        ("Observation", "encounter:Encounter.status=finished", MANY),
        ("Patient", "name=a", MANY),
        ("Appointment", "date=ge2020", MANY),
    ],
)
def test_what_a_search_is_told(server: Server, policy: Protected, resource_type: str, asked: str, most: int) -> None:
    call = Call("http://test/fhir", "test", policy)
    params = [(name, value) for name, _, value in (item.partition("=") for item in asked.split("&"))]
    request = parse_query(params, resource_type, server.definitions, UTC, call.base_url, lenient=False, now=NOW)
    arguments = Arguments()
    text = where(visible(server, call, request), arguments)
    assert len(arguments.values) < 50  # a list for all of a type, not a condition for each
    assert len(text) < 3000
    assert max(sizes(arguments), default=0) <= most
    assert sum(size > 100 for size in sizes(arguments)) <= 2  # of each type once


@pytest.mark.parametrize("resource_type", ["Patient", "Observation", "Encounter", "Condition", "Claim", "Consent"])
@pytest.mark.parametrize("permission", ["read", "update", "delete"])
def test_what_a_read_is_told(policy: Protected, resource_type: str, permission: Any) -> None:
    tree = policy.restriction(permission, resource_type)
    assert tree is not None
    for id in ("p17", "nobody"):
        arguments = Arguments()
        condition(narrowed(tree, (home_bucket(id),)), arguments)
        assert max(sizes(arguments), default=0) <= 8


async def test_each_of_them_holds(server: Server, definitions: Definitions, built_in: BuiltIn) -> None:
    tag = unique()
    owner = Call("http://test/fhir", "test", Unrestricted())
    names = [f"deny-{tag}", f"open-{tag}"]
    observations = {}
    for name in names:
        await update(server, owner, "Patient", name, {"resourceType": "Patient", "id": name, "active": True})
        body = {
            "resourceType": "Observation", "status": "final", "code": {"text": "x"},
            "meta": {"tag": [{"system": "urn:many", "code": tag}]}, "subject": {"reference": f"Patient/{name}"},
        }  # fmt: skip
        observations[name] = (await create(server, owner, "Observation", body)).stored.id
        # under an id of the client's, which is at home in another bucket than the patient
        await update(server, owner, "Observation", f"own-{name}", {**body, "id": f"own-{name}"})
        moved = {**body, "id": f"moved-{name}", "subject": {"reference": f"Patient/{names[name == names[0]]}"}}
        await update(server, owner, "Observation", f"moved-{name}", moved)
        await update(server, owner, "Observation", f"moved-{name}", {**body, "id": f"moved-{name}"})
    many = {f"p{number}": signed_at(number) for number in range(MANY)} | {names[0]: signed_at(0)}
    call = Call("http://test/fhir", "test", policy_of(definitions, built_in, many))
    for name in names:
        for address in (
            ("Patient", name),
            *(("Observation", id) for id in (observations[name], f"own-{name}", f"moved-{name}")),
        ):
            if name == names[0]:
                with pytest.raises(NotFound):
                    await read(server, call, *address)
                with pytest.raises(NotFound):
                    await history(server, call, *address, [])
            else:
                assert (await read(server, call, *address)).id == address[1]
        expected = 0 if name == names[0] else 3
        for asked in ([("patient", name)], [("_tag", f"urn:many|{tag}"), ("patient", name)]):
            found = parse(await search(server, call, "Observation", [*asked, ("_total", "accurate")], False))
            assert (found["total"], len(found.get("entry", ()))) == (expected, expected)
    found = parse(
        await search(
            server, call, "Observation", [("_tag", f"urn:many|{tag}"), ("_include", "Observation:subject")], False
        )
    )
    assert {entry["resource"]["id"] for entry in found["entry"]} == {
        names[1], observations[names[1]], f"own-{names[1]}", f"moved-{names[1]}",
    }  # fmt: skip
