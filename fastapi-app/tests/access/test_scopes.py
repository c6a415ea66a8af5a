"""Scopes: what they say, and that nothing else is a scope."""

import pytest

from fhirserver.access.scopes import InvalidScope, parse_scope, parse_scopes, understood
from fhirserver.access.sensitivity import Label, clearance_of, parse_labels


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("patient/Observation.rs", "patient/Observation.rs"),
        ("user/*.cruds", "user/*.cruds"),
        ("system/Patient.c", "system/Patient.c"),
        ("patient/Observation.read", "patient/Observation.rs"),  # v1: read is read and search
        ("user/Patient.write", "user/Patient.cud"),  # v1: write is the rest
        ("user/*.*", "user/*.cruds"),
        ("patient/Observation.rs?category=laboratory", "patient/Observation.rs?category=laboratory"),
        (
            "user/Observation.rs?category=http://x|y&status=final",
            "user/Observation.rs?category=http://x|y&status=final",
        ),
        ("user/Observation.rs?code=a%20b", "user/Observation.rs?code=a+b"),  # decoded once
        ("openid", None),  # not about resources
        ("launch/patient", None),
        ("offline_access", None),
        ("", None),
    ],
)
def test_what_a_scope_says(text: str, expected: str | None):
    scope = parse_scope(text)
    assert (str(scope) if scope is not None else None) == expected


@pytest.mark.parametrize(
    "text",
    [
        "patient/Observation",  # no permissions
        "patient/Observation.",
        "patient/Observation.x",  # no such letter
        "patient/Observation.sr",  # SMART: in this order
        "patient/Observation.rr",
        "patient/Observation.rs?",  # nothing after the mark
        "patient/observation.rs",  # types begin with a capital
        "patient/Observation/1.rs",
        "patient/Obs*.rs",
        "patient/.rs",
        "user/*.crudsx",
        "patient/Observation.rs\nuser/*.cruds",
        "patient/Observation.rs?a=%ff",  # not UTF-8
        "patient/Observation.rs?a=%00",
    ],
)
def test_what_is_no_scope(text: str):
    with pytest.raises(InvalidScope):
        parse_scope(text)
    assert understood([text, "user/Basic.r"]) == parse_scopes("user/Basic.r")


@pytest.mark.parametrize(
    ("scope", "permission", "resource_type", "allowed"),
    [
        ("user/*.r", "read", "Patient", True),
        ("user/*.r", "search", "Patient", False),
        ("user/Patient.rs", "read", "Observation", False),
        ("user/Patient.cud", "read", "Patient", False),
        ("user/*.cruds", "read", "AuditEvent", False),  # only by name
        ("user/AuditEvent.rs", "read", "AuditEvent", True),
    ],
)
def test_what_a_scope_allows(scope: str, permission, resource_type: str, allowed: bool):
    assert parse_scope(scope).allows(permission, resource_type) is allowed


def test_a_wrong_one_among_several_is_an_error():
    with pytest.raises(InvalidScope):
        parse_scopes("openid user/Patient.rs user/Patient.q")


@pytest.mark.parametrize(
    ("scopes", "cleared"),
    [
        ("user/*.cruds server/admin", ""),
        ("server/clearance.R", "U L M N R"),
        ("server/clearance.V user/*.rs", "U L M N R V"),  # who may see more may see less
        ("server/clearance.HIV server/clearance.N", "HIV U L M N"),
        ("server/clearance", ""),
    ],
)
def test_clearance(scopes: str, cleared: str):
    assert clearance_of(scopes.split()) == set(cleared.split())


@pytest.mark.parametrize("text", ["R", "|R", "http://a|", "http://a|R,b"])
def test_what_is_no_label(text: str):
    with pytest.raises(ValueError, match="is not a label"):
        parse_labels(text)


def test_labels_are_separated_by_commas():
    assert parse_labels(" http://a|R, urn:b|HIV,") == (Label("http://a", "R"), Label("urn:b", "HIV"))
