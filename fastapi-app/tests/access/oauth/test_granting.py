"""What of the scopes that are asked for can be given."""

import pytest

from fhirserver.access.oauth.granting import narrowed
from fhirserver.access.scopes import parse_scopes


@pytest.mark.parametrize(
    ("asked", "limit", "given"),
    [
        ("patient/Observation.rs", "patient/*.cruds", "patient/Observation.rs"),
        ("patient/*.cruds", "patient/Observation.rs patient/Patient.r", "patient/Observation.rs patient/Patient.r"),
        ("patient/Observation.read", "patient/Observation.cruds", "patient/Observation.read"),  # as it was written
        ("patient/Observation.*", "patient/Observation.rs", "patient/Observation.rs"),
        ("patient/Observation.cruds", "patient/Observation.rs patient/Observation.cud", "patient/Observation.cruds"),
        ("patient/Observation.cruds", "patient/*.rs patient/Observation.c", "patient/Observation.crs"),
        ("patient/Observation.c", "patient/Observation.rs", ""),
        ("patient/Observation.rs", "patient/Condition.rs", ""),
        ("patient/Observation.rs", "user/Observation.rs", ""),
        ("patient/AuditEvent.rs", "patient/*.rs", ""),  # said by name or not at all
        ("patient/*.rs", "patient/AuditEvent.rs", ""),
        ("patient/AuditEvent.rs", "patient/AuditEvent.rs", "patient/AuditEvent.rs"),
        ("patient/Observation.rs?status=final", "patient/*.rs", "patient/Observation.rs?status=final"),
        ("patient/*.rs", "patient/Observation.rs?status=final", "patient/Observation.rs?status=final"),
        ("patient/*.rs?_tag=a", "patient/*.rs?_tag=b", "patient/*.rs?_tag=a&_tag=b"),  # both have to hold
        ("patient/*.rs?_tag=a", "patient/*.rs?_tag=a", "patient/*.rs?_tag=a"),
        ("patient/*.rs patient/*.rs openid", "patient/*.rs", "patient/*.rs"),
        ("", "patient/*.rs", ""),
        ("patient/*.rs", "", ""),
    ],
)
def test_narrowed_in_a_context(asked: str, limit: str, given: str):
    assert " ".join(narrowed(asked.split(), parse_scopes(limit))) == given


@pytest.mark.parametrize(
    ("asked", "roles", "given"),
    [
        ("patient/*.rs", "user/*.rs", "patient/*.rs"),
        ("patient/Observation.cruds", "user/*.rs user/Observation.cu", "patient/Observation.crus"),
        ("user/*.rs", "patient/*.r", "user/*.r"),
    ],
)
def test_narrowed_to_roles(asked: str, roles: str, given: str):
    assert " ".join(narrowed(asked.split(), parse_scopes(roles), any_context=True)) == given
