"""Scopes → trees: each scope is an alternative, each set of scopes has to allow."""

from datetime import UTC, datetime

import pytest

from fhirserver.access.policy import Both, Scoped, require_sound
from fhirserver.access.record import record_of
from fhirserver.access.scopes import InvalidScope, parse_scopes
from fhirserver.fhir.datatypes.ids import home_bucket
from fhirserver.fhir.definitions import Definitions
from fhirserver.search.evaluate import is_evaluable
from fhirserver.search.rewrite.restrict import buckets_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HERE = f"bucket={home_bucket('p')}"
THERE = f"bucket={home_bucket('q')}"


def policy(definitions: Definitions, *grants: str, patient: str | None = "p") -> Scoped:
    return Scoped([parse_scopes(grant) for grant in grants], patient, definitions, UTC, NOW)


@pytest.mark.parametrize(
    ("grants", "permission", "resource_type", "expected"),
    [
        ((), "read", "Patient", "nothing"),  # who was granted nothing may do nothing
        (("",), "read", "Patient", "nothing"),
        (("user/*.cruds",), "read", "Patient", "None"),
        (("user/*.rs",), "update", "Patient", "nothing"),
        (("user/*.cruds",), "read", "AuditEvent", "nothing"),
        (("system/Patient.r",), "read", "Patient", "None"),
        (("system/Patient.r",), "read", "Observation", "nothing"),
        (("patient/*.rs",), "read", "Patient", f"({HERE} AND _id=p)"),
        (("patient/*.rs",), "search", "Observation", f"({HERE} AND patient=Patient/p)"),
        (("patient/*.rs",), "search", "Appointment", "actor=Patient/p"),  # not placed by its patient
        (("patient/*.rs",), "search", "Practitioner", "nothing"),  # in no patient's record
        (("patient/*.rs user/Practitioner.rs",), "search", "Practitioner", "None"),
        (("user/Observation.rs?status=final",), "read", "Observation", "status=final"),
        (("user/Observation.rs?status=final&code=x",), "read", "Observation", "(status=final AND code=x)"),
        (("user/Observation.rs?status=final user/Observation.r?code=x",), "read", "Observation", "status=final,code=x"),
        (("user/Observation.rs?status=final user/Observation.r",), "read", "Observation", "None"),
        (
            ("patient/Observation.rs?status=final",),
            "read",
            "Observation",
            f"({HERE} AND patient=Patient/p AND status=final)",
        ),
        (("user/*.cruds", "user/Observation.rs"), "read", "Observation", "None"),  # both allow it
        (("user/*.cruds", "user/Observation.rs"), "update", "Observation", "nothing"),  # one does not
        (("user/*.cruds", "patient/*.rs"), "read", "Patient", f"({HERE} AND _id=p)"),
        (("user/*.rs?_tag=x",), "read", "Patient", "_tag=x"),  # for each type by its own parameters
        (("user/*.rs?code=x",), "read", "Patient", "nothing"),  # which this one has not
    ],
)
def test_the_tree_of_scopes(definitions: Definitions, grants, permission, resource_type: str, expected: str):
    assert str(policy(definitions, *grants).restriction(permission, resource_type)) == expected


@pytest.mark.parametrize(
    ("own", "app", "patient", "expected"),
    [
        ("user/*.rs", "patient/Observation.rs", "q", f"({THERE} AND patient=Patient/q)"),  # a doctor's app about q
        ("patient/*.rs", "user/Observation.rs", "q", f"({HERE} AND patient=Patient/p)"),  # an app of p's, opened for q
        ("patient/*.rs", "patient/Observation.rs", "p", f"({HERE} AND patient=Patient/p)"),
        ("patient/*.rs", "patient/Observation.rs", None, "nothing"),
        ("user/*.rs", "", "q", "nothing"),
        ("", "user/*.rs", "q", "nothing"),
        ("user/*.rs", "user/*.rs", None, "None"),
        ("user/Observation.rs?status=final", "user/*.rs?_tag=x", None, "(status=final AND _tag=x)"),
    ],
)
def test_what_an_app_does_both_it_and_its_user_have_to_be_allowed(
    definitions: Definitions, own, app, patient, expected
):
    both = Both(policy(definitions, own), policy(definitions, app, patient=patient))
    assert str(both.restriction("read", "Observation")) == expected


def test_a_patients_role_is_about_the_user_whomever_an_app_was_opened_for(definitions: Definitions):
    both = Both(policy(definitions, "patient/*.rs"), policy(definitions, "patient/*.rs", patient="q"))
    tree = both.restriction("read", "Observation")
    assert str(tree) == f"({HERE} AND patient=Patient/p AND {THERE} AND patient=Patient/q)"
    assert tree is not None
    assert buckets_of(tree) == frozenset()


def test_without_a_patient_its_scopes_allow_nothing(definitions: Definitions):
    assert str(policy(definitions, "patient/*.cruds", patient=None).restriction("read", "Patient")) == "nothing"


def test_every_record_can_be_evaluated_and_is_on_one_shard_where_the_type_is_placed(definitions: Definitions):
    for resource_type in definitions.resource_types:
        tree = record_of(definitions, resource_type, "p")
        assert is_evaluable(tree)
        if definitions.placing_parameters(resource_type) or resource_type == "Patient":
            assert HERE in str(tree), resource_type


@pytest.mark.parametrize(
    "scope",
    [
        "user/Nothing.rs",  # no such type
        "user/Observation.rs?nothing=1",  # no such parameter
        "user/Observation.rs?patient.name=x",  # about another resource
        "user/Patient.rs?_has:Observation:patient:code=x",
        "user/Observation.rs?_sort=date",  # no condition
        "user/Observation.rs?_include=Observation:patient&code=x",
        "user/Observation.rs?date=x",  # no date
    ],
)
def test_scopes_that_can_not_be_granted(definitions: Definitions, scope: str):
    with pytest.raises(InvalidScope):
        require_sound(parse_scopes(scope), definitions, UTC, NOW)
    assert str(policy(definitions, scope).restriction("read", "Observation")) == "nothing"
