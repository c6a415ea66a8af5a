"""What an entry asks for, and the order in which entries are carried out."""

import pytest

from fhirserver.bundles.entries import EntryRequest, at_entry, read_entries
from fhirserver.bundles.order import in_order, require_distinct
from fhirserver.fhir.outcomes import FhirError, InvalidRequest, InvalidResource, Issue

BASE = "http://here/fhir"
PATIENT = {"resourceType": "Patient"}


def read(request: object, **rest: object) -> EntryRequest | FhirError:
    [entry] = read_entries({"entry": [{"request": request, **rest}]}, BASE)
    return entry


@pytest.mark.parametrize(
    ("method", "url", "path", "query"),
    [
        ("GET", "Patient/1", ("Patient", "1"), None),
        ("GET", "/Patient/1", ("Patient", "1"), None),
        ("GET", f"{BASE}/Patient/1", ("Patient", "1"), None),
        ("GET", "Patient?name=a%20b&x=1", ("Patient",), "name=a%20b&x=1"),
        ("GET", "Patient/a%2Eb", ("Patient", "a.b"), None),
        ("GET", "Patient/1/_history/2", ("Patient", "1", "_history", "2"), None),
        ("HEAD", "Patient/1", ("Patient", "1"), None),
        ("DELETE", "Patient/1", ("Patient", "1"), None),
        ("DELETE", "Patient?identifier=x", ("Patient",), "identifier=x"),
    ],
)
def test_the_address(method, url, path, query):
    entry = read({"method": method, "url": url})
    assert isinstance(entry, EntryRequest)
    assert (entry.method, entry.path, entry.query) == (method, path, query)


@pytest.mark.parametrize(
    ("request_", "rest", "place"),
    [
        (None, {}, "Bundle.entry[0].request"),
        ({"url": "Patient"}, {}, "Bundle.entry[0].request.method"),
        ({"method": "get", "url": "Patient"}, {}, "Bundle.entry[0].request.method"),
        ({"method": "GET"}, {}, "Bundle.entry[0].request.url"),
        ({"method": "GET", "url": 1}, {}, "Bundle.entry[0].request"),
        ({"method": "POST", "url": "Patient"}, {}, "Bundle.entry[0].resource"),
        ({"method": "POST", "url": "Patient/1"}, {"resource": PATIENT}, "Bundle.entry[0].request.url"),
        ({"method": "PUT", "url": "Patient"}, {"resource": PATIENT}, "Bundle.entry[0].request.url"),
        ({"method": "DELETE", "url": "Patient"}, {}, "Bundle.entry[0].request.url"),
        ({"method": "POST", "url": "Patient"}, {"resource": "x"}, "Bundle.entry[0].resource"),
        ({"method": "POST", "url": "Patient"}, {"resource": PATIENT, "fullUrl": 1}, "Bundle.entry[0].fullUrl"),
    ],
)
def test_what_makes_no_sense(request_, rest, place):
    error = read(request_, **rest)
    assert isinstance(error, InvalidRequest)
    assert error.issues[0].expression == (place,)


def test_entries_are_a_list():
    with pytest.raises(InvalidRequest):
        read_entries({"entry": {}}, BASE)
    assert read_entries({}, BASE) == []


def made(index: int, method: str) -> EntryRequest:
    return EntryRequest(index, method, ("Patient", "1"), None, None, None)


def test_the_order():
    methods = ["GET", "PUT", "POST", "DELETE", "HEAD", "POST", "DELETE"]
    ordered = in_order(made(index, method) for index, method in enumerate(methods))
    assert [entry.index for entry in ordered] == [3, 6, 2, 5, 1, 0, 4]


def test_two_entries_that_write_the_same_are_refused():
    one, two = made(0, "PUT"), made(1, "DELETE")
    require_distinct([(one, "Patient", "1"), (two, "Patient", "2")])
    with pytest.raises(InvalidRequest, match=r"Bundle.entry\[0\]"):
        require_distinct([(one, "Patient", "1"), (two, "Patient", "1")])


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("Patient.name[0].family", "Bundle.entry[3].resource.name[0].family"),
        ("Bundle.entry[3].request.url", "Bundle.entry[3].request.url"),
        ("id", "Bundle.entry[3].resource.id"),
        ("birthdate", "Bundle.entry[3].request.url"),  # a parameter of its criteria
    ],
)
def test_places_start_at_the_bundle(place, expected):
    entry = EntryRequest(3, "PUT", ("Patient",), "birthdate=x", None, PATIENT)
    [issue] = at_entry(InvalidResource([Issue("error", "value", "x", (place,))]), entry)
    assert issue.expression == (expected,)
