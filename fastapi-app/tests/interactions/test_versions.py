"""A new version: what it is stamped with. https://hl7.org/fhir/R4/http.html#versions"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fhirserver.fhir.datatypes.ids import home_bucket
from fhirserver.fhir.resource_json import Number
from fhirserver.interactions.versions import deletion, instant, next_version, stamp

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


@pytest.fixture
def still(server):
    """The server, at one moment."""
    return replace(server, clock=lambda: NOW)


def test_an_instant_has_milliseconds():
    assert instant(NOW) == "2026-01-02T03:04:05.678Z"
    assert instant(datetime(1999, 12, 31, tzinfo=UTC)) == "1999-12-31T00:00:00.000Z"


def test_id_and_meta_come_first_and_the_rest_of_meta_stays():
    given = {
        "birthDate": "1970",
        "meta": {"profile": ["http://x"], "versionId": "9", "_versionId": {"id": "a"}, "lastUpdated": "2000"},
        "id": "old",
        "resourceType": "Patient",
        "active": True,
    }
    stamped = stamp(given, "new", 2, NOW)
    assert list(stamped) == ["resourceType", "id", "meta", "birthDate", "active"]
    assert stamped["id"] == "new"
    assert stamped["meta"] == {"versionId": "2", "lastUpdated": "2026-01-02T03:04:05.678Z", "profile": ["http://x"]}
    assert given["id"] == "old"
    assert given["meta"]["versionId"] == "9"


def test_a_version_lives_in_the_bucket_of_its_patient(still, call):
    resource = {"resourceType": "Basic", "code": {"text": "x"}, "subject": {"reference": "Patient/p"}}
    assert next_version(still, call, "update", "Basic", "b", resource, None).version.bucket == home_bucket("p")
    del resource["subject"]
    assert next_version(still, call, "update", "Basic", "b", resource, None).version.bucket == home_bucket("b")


def test_numbers_follow_each_other_and_so_do_instants(still, call):
    resource = {
        "resourceType": "Basic",
        "code": {"text": "x"},
        "extension": [{"url": "http://x", "valueDecimal": Number("1.00")}],
    }
    first = next_version(still, call, "update", "Basic", "b", resource, None)
    second = next_version(still, call, "update", "Basic", "b", resource, first.version)
    third = deletion(still, call, second.version)
    assert [change.version.version_id for change in (first, second, third)] == [1, 2, 3]
    assert [change.version.last_updated - NOW for change in (first, second, third)] == [
        timedelta(milliseconds=number) for number in range(3)
    ]
    assert b'"valueDecimal":1.00}' in first.version.live
    assert (third.version.deleted, third.version.content, third.entry) == (True, None, None)
    assert third.version.bucket == second.version.bucket
