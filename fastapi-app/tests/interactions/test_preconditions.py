"""If-Match, If-None-Match and If-Modified-Since. https://hl7.org/fhir/R4/http.html#concurrency and #cread"""

from datetime import UTC, datetime, timedelta

import pytest

from fhirserver.fhir.outcomes import InvalidRequest, PreconditionFailed
from fhirserver.interactions.preconditions import is_unchanged, require_match, require_none_match, versions_of
from fhirserver.interactions.store import StoredResource

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
LIVE = StoredResource("Patient", "1", 3, NOW, False, b"{}", 0)
DELETED = StoredResource("Patient", "1", 3, NOW, True, None, 0)


@pytest.mark.parametrize(
    ("header", "versions"),
    [
        ('W/"1"', ["1"]),
        ('"1"', ["1"]),
        ("1", ["1"]),
        ('W/"1", W/"2",3', ["1", "2", "3"]),
        ('W/""', [""]),
        ("", None),
        ("W/1", None),
        ('w/"1"', None),
        ("'1'", None),
        ('W/"1" W/"2"', None),
        ('W/"1",', None),
    ],
)
def test_entity_tags(header, versions):
    if versions is None:
        with pytest.raises(InvalidRequest, match="If-Match"):
            versions_of(header, "If-Match")
    else:
        assert versions_of(header, "If-Match") == versions


@pytest.mark.parametrize(
    ("if_match", "current", "holds"),
    [
        (None, None, True),
        (None, LIVE, True),
        ("*", LIVE, True),
        ("*", DELETED, False),
        ("*", None, False),
        ('W/"3"', LIVE, True),
        ('W/"2"', LIVE, False),
        ('W/"2", W/"3"', LIVE, True),
        ('W/"3"', DELETED, True),
        ('W/"3"', None, False),
        ('W/"03"', LIVE, False),
    ],
)
def test_if_match(if_match, current, holds):
    if holds:
        require_match(if_match, current)
    else:
        with pytest.raises(PreconditionFailed):
            require_match(if_match, current)


@pytest.mark.parametrize(
    ("if_none_match", "current", "holds"),
    [
        (None, LIVE, True),
        ("*", None, True),
        ("*", DELETED, True),
        ("*", LIVE, False),
        ('W/"3"', LIVE, False),
        ('W/"2"', LIVE, True),
        ('W/"3"', DELETED, True),
    ],
)
def test_if_none_match(if_none_match, current, holds):
    if holds:
        require_none_match(if_none_match, current)
    else:
        with pytest.raises(PreconditionFailed):
            require_none_match(if_none_match, current)


def test_what_a_client_knows():
    moment = timedelta(milliseconds=1)
    assert not is_unchanged(LIVE, None, None)
    assert is_unchanged(LIVE, None, NOW)
    assert not is_unchanged(LIVE, None, NOW - moment)
    assert is_unchanged(LIVE, '"3"', NOW - moment)
    assert not is_unchanged(LIVE, '"2"', NOW)
    assert is_unchanged(LIVE, "*", None)
