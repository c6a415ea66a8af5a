"""What a Consent says → the tree of what it denies."""

from datetime import UTC, datetime
from typing import Any

import pytest

from fhirserver.access.consents import Asking, Denials, denial_of, read_denial
from fhirserver.access.memberships import WITH_MEMBERS, Membership, believed
from fhirserver.access.scopes import Permission, parse_scopes
from fhirserver.fhir.definitions import Definitions
from fhirserver.search.evaluate import is_evaluable

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BASE = "http://test/fhir"
ANY = "patient is one of 1 patients"
OUT = {"policyRule": {"coding": [{"code": "OPTOUT"}]}}
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"


def denials(definitions: Definitions, *consents: dict[str, Any]) -> Denials:
    kept = {}
    for number, consent in enumerate(consents):
        made = {"resourceType": "Consent", "status": "active", "patient": {"reference": "Patient/p"}, **consent}
        content = denial_of(definitions, made, BASE, UTC)
        kept[str(number)] = read_denial(content, UTC) if content is not None else None
    return Denials(definitions, UTC).changed(kept, 1)


def deny(**criteria: Any) -> dict[str, Any]:
    return {"provision": {"type": "deny", **criteria}}


def actor(reference: Any) -> list[dict[str, Any]]:
    return [{"reference": reference}]


def label(code: str) -> list[dict[str, str]]:
    return [{"system": CONFIDENTIALITY, "code": code}]


@pytest.mark.parametrize(
    ("consent", "resource_type", "expected"),
    [
        ({}, "Observation", "nothing"),
        (OUT, "Observation", ANY),
        (OUT, "Patient", "_id=p"),
        (OUT, "Appointment", "actor is one of 1 patients"),
        (OUT, "Practitioner", "nothing"),  # in nobody's record
        (OUT, "AuditEvent", "nothing"),  # who audits has to see it
        (deny(), "Observation", ANY),
        (deny(**{"class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Condition"}]}), "Observation", "nothing"),
        (deny(**{"class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Condition"}]}), "Condition", ANY),
        (
            deny(**{"class": [{"system": "urn:ietf:rfc:3986", "code": "http://hl7.org/fhir/StructureDefinition/Condition"}]}),
            "Condition",
            ANY,
        ),
        (
            deny(**{"class": [{"system": "urn:ietf:rfc:3986", "code": "http://x/profile"}]}),
            "Condition",
            f"(_profile=http://x/profile AND {ANY})",
        ),
        (deny(securityLabel=label("R")), "Observation", f"(_security=R,V AND {ANY})"),  # and more
        (deny(securityLabel=label("N")), "Observation", f"(NOT _security=U,L,M AND {ANY})"),  # what has none is N
        (
            {**OUT, "provision": {"type": "permit", "securityLabel": label("N")}},
            "Observation",
            f"(_security=R,V AND {ANY})",  # up to N is permitted
        ),
        (
            {**OUT, "provision": {"type": "permit", "securityLabel": label("L")}},
            "Observation",
            f"(NOT _security=U,L AND {ANY})",
        ),
        (deny(securityLabel=[{"system": "urn:x", "code": "HIV"}]), "Observation", f"(_security=HIV AND {ANY})"),
        (deny(actor=actor({"reference": "Practitioner/other"})), "Observation", "nothing"),
        (deny(actor=actor({"reference": "Practitioner/dr"})), "Observation", ANY),
        (deny(actor=actor({"reference": f"{BASE}/Practitioner/dr"})), "Observation", ANY),
        (deny(actor=actor({"reference": "http://elsewhere/fhir/Practitioner/dr"})), "Observation", "nothing"),
        (deny(actor=actor({"reference": "Organization/clinic"})), "Observation", ANY),  # who belongs to it is not known
        ({**OUT, "provision": {"type": "permit", "actor": actor({"reference": "CareTeam/1"})}}, "Observation", ANY),
        (deny(actor=actor({"display": "the doctor"})), "Observation", ANY),  # who knows whom that means
        ({**OUT, "provision": {"type": "permit", "actor": actor({"display": "the doctor"})}}, "Observation", ANY),
        ({**OUT, "provision": {"actor": actor({"reference": "Practitioner/dr"})}}, "Observation", "nothing"),
        (deny(purpose=[{"system": "urn:x", "code": "y"}]), "Observation", ANY),  # not understood
        ({**OUT, "provision": {"type": "permit", "purpose": [{"system": "urn:x", "code": "y"}]}}, "Observation", ANY),
        (deny(period={"end": "2025"}), "Observation", "nothing"),
        (deny(period={"start": "2025"}), "Observation", ANY),
        ({**OUT, "provision": {"period": {"end": "2025"}}}, "Observation", ANY),  # opting out does not end by that
        (deny(dataPeriod={"start": "2020"}), "Practitioner", "nothing"),
        (deny(dataPeriod={"start": "2020"}), "Device", ANY),  # has no date, so it may be of that time
        (deny(data=[{"meaning": "instance", "reference": {"reference": "Condition/1"}}]), "Observation", "nothing"),
        (deny(data=[{"meaning": "instance", "reference": {"reference": "Condition/1"}}]), "Condition", f"(_id=1 AND {ANY})"),
        (
            deny(data=[{"meaning": "authoredby", "reference": {"reference": "Practitioner/1"}}]),
            "Observation",
            f"(refers to Practitioner/1 AND {ANY})",
        ),
        ({**OUT, "patient": {"reference": "http://elsewhere/fhir/Patient/p"}}, "Observation", "nothing"),
        ({**OUT, "patient": {"display": "p"}}, "Observation", "nothing"),
        ({**OUT, "status": "entered-in-error"}, "Observation", "nothing"),
        ({**OUT, "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "adr"}]}}, "Observation", "nothing"),
        # opting out of research is not opting out of treatment
        ({**OUT, "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "research"}]}}, "Observation", "nothing"),
        (
            deny(provision=[{"type": "permit", "securityLabel": label("N"), "provision": [{"type": "deny", "code": [{"coding": [{"code": "x"}]}]}]}]),
            "Patient",
            "((NOT (NOT _security=R,V AND NOT any code=|x) OR (NOT _security=R,V AND any code=|x)) AND _id=p)",
        ),
    ],
)  # fmt: skip
def test_what_is_denied(definitions: Definitions, consent: dict[str, Any], resource_type: str, expected: str) -> None:
    asking = Asking(frozenset({"Practitioner/dr"}), frozenset({"TREAT"}))
    tree = denials(definitions, consent).denied(asking, "read", resource_type, NOW)
    assert str(tree) == expected
    assert is_evaluable(tree)


CLINIC = actor({"reference": "Organization/clinic"})


@pytest.mark.parametrize(
    ("consent", "belongs", "is_placed", "expected"),
    [
        (deny(actor=CLINIC), "Organization/clinic", True, ANY),
        (deny(actor=CLINIC), "Organization/other", True, "nothing"),
        (deny(actor=CLINIC), "Practitioner/dr", False, ANY),  # who works somewhere, nobody knows where
        ({**OUT, "provision": {"type": "permit", "actor": CLINIC}}, "Organization/clinic", True, "nothing"),
        ({**OUT, "provision": {"type": "permit", "actor": CLINIC}}, "Organization/other", True, ANY),
        ({**OUT, "provision": {"type": "permit", "actor": CLINIC}}, "Practitioner/dr", False, ANY),
        ({**OUT, "provision": {"type": "permit", "actor": [*CLINIC, *actor({"reference": "Practitioner/dr"})]}}, "Practitioner/dr", False, "nothing"),
        (deny(actor=actor({"reference": "Device/1"})), "Organization/clinic", True, ANY),  # has no members that are known
        (deny(actor=actor({"reference": "http://elsewhere/Organization/1"})), "Practitioner/dr", False, "nothing"),
        (deny(provision=[{"type": "permit", "actor": CLINIC}]), "Organization/clinic", True, "nothing"),
        (deny(provision=[{"type": "permit", "actor": CLINIC}]), "Practitioner/dr", False, ANY),
    ],
)  # fmt: skip
def test_who_belongs_to_an_actor(
    definitions: Definitions, consent: dict[str, Any], belongs: str, is_placed: bool, expected: str
) -> None:
    asking = Asking(frozenset({belongs}), frozenset({"TREAT"}), WITH_MEMBERS if is_placed else frozenset())
    assert str(denials(definitions, consent).denied(asking, "read", "Observation", NOW)) == expected


@pytest.mark.parametrize(
    ("scopes", "known"),
    [
        ("user/*.rs user/Observation.cud", {"PractitionerRole", "Organization", "CareTeam", "Group"}),
        ("user/*.rs user/CareTeam.u", {"PractitionerRole", "Organization", "Group"}),
        ("user/*.rs user/Group.c", {"PractitionerRole", "Organization", "CareTeam"}),
        ("user/*.rs user/Organization.u", {"PractitionerRole"}),
        ("user/*.rs user/PractitionerRole.d", set()),
        ("user/*.cruds", set()),
    ],
)
def test_what_the_caller_could_have_written_is_not_believed(scopes: str, known: set[str]) -> None:
    references = frozenset(f"{name}/1" for name in (*WITH_MEMBERS, "Practitioner"))
    found = believed(Membership(references, WITH_MEMBERS), parse_scopes(scopes))
    assert found.known == known
    assert found.references == {f"{name}/1" for name in (*known, "Practitioner")}


def test_patients_who_say_the_same_are_one_condition(definitions: Definitions) -> None:
    said = [{**OUT, "patient": {"reference": f"Patient/{number}"}} for number in range(3)]
    other = deny(securityLabel=label("V"))
    asking = Asking(frozenset(), frozenset({"TREAT"}))
    found = denials(definitions, *said, other).denied(asking, "search", "Observation", NOW)
    assert str(found) == f"(patient is one of 3 patients OR (_security=V AND {ANY}))"


@pytest.mark.parametrize(
    ("action", "permission", "expected"),
    [
        ("access", "read", ANY), ("access", "search", ANY), ("access", "create", ANY), ("access", "delete", ANY),
        ("collect", "read", "nothing"), ("collect", "create", ANY), ("collect", "update", "nothing"),
        ("correct", "create", "nothing"), ("correct", "update", ANY), ("correct", "delete", ANY),
        ("disclose", "read", ANY),
    ],
)  # fmt: skip
def test_actions(definitions: Definitions, action: str, permission: Permission, expected: str) -> None:
    coded = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentaction", "code": action}]}
    asking = Asking(frozenset(), frozenset({"TREAT"}))
    found = denials(definitions, deny(action=[coded])).denied(asking, permission, "Observation", NOW)
    assert str(found) == expected


def test_a_rule_comes_into_force_and_ends_by_itself(definitions: Definitions) -> None:
    made = denials(definitions, deny(period={"start": "2026-01-01", "end": "2026-01-02"}))
    asking = Asking(frozenset(), frozenset({"TREAT"}))
    found = [
        str(made.denied(asking, "read", "Patient", datetime.fromisoformat(moment)))
        for moment in ("2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2026-01-02T23:59:59Z", "2026-01-03T00:00:00Z")
    ]
    assert found == ["nothing", "_id=p", "_id=p", "nothing"]
