"""Entries of a Bundle, taken apart. https://hl7.org/fhir/R4/http.html#transaction"""

import pytest

from fhirserver.bundles.entries import at_entry, read_entries
from fhirserver.fhir.outcomes import FhirError, InvalidRequest, Issue

from .conftest import BASE_URL

PATIENT = {"resourceType": "Patient"}


@pytest.mark.parametrize(
    ("method", "url", "path", "query"),
    [
        ("GET", "Patient/1", ("Patient", "1"), None),
        ("GET", "/Patient/1", ("Patient", "1"), None),
        ("GET", "http://here/fhir/Patient/1", ("Patient", "1"), None),
        ("GET", "Patient?name=a?b&x=%20", ("Patient",), "name=a?b&x=%20"),
        ("GET", "Patient?", ("Patient",), ""),
        ("GET", "Patient/1/_history/2", ("Patient", "1", "_history", "2"), None),
        ("GET", "_history?_count=1", ("_history",), "_count=1"),
        ("HEAD", "Patient/1", ("Patient", "1"), None),
        ("POST", "Patient", ("Patient",), None),
        ("PUT", "Patient/1", ("Patient", "1"), None),
        ("PUT", "Patient?identifier=a|b", ("Patient",), "identifier=a|b"),
        ("DELETE", "Patient/a%2Eb", ("Patient", "a.b"), None),
        ("DELETE", "Patient?identifier=a|b", ("Patient",), "identifier=a|b"),
    ],
)
def test_method_and_url(entry_of, method, url, path, query):
    entry = entry_of(method, url, PATIENT)
    assert (entry.method, entry.path, entry.query) == (method, path, query)
    assert (entry.resource is None) == (method not in ("POST", "PUT"))
    assert entry.resource_type == path[0]


def test_what_else_a_request_says(entry_of):
    entry = entry_of("PUT", "Patient/1", PATIENT, "urn:uuid:1", ifMatch='W/"1"', ifNoneMatch="*")
    assert (entry.full_url, entry.if_match, entry.if_none_match) == ("urn:uuid:1", 'W/"1"', "*")
    assert entry_of("POST", "Patient", PATIENT, ifNoneExist="a=b").if_none_exist == "a=b"
    assert entry_of("GET", "Patient/1", ifModifiedSince="2020").if_modified_since == "2020"


@pytest.mark.parametrize(
    ("entry", "place"),
    [
        (None, "Bundle.entry[0]"),
        ("x", "Bundle.entry[0]"),
        ({}, "Bundle.entry[0].request"),
        ({"request": None}, "Bundle.entry[0].request"),
        ({"request": {"method": 1, "url": "Patient"}}, "Bundle.entry[0].request"),
        ({"request": {"method": "GET", "url": "Patient", "ifMatch": []}}, "Bundle.entry[0].request"),
        ({"request": {"method": "GET"}}, "Bundle.entry[0].request.url"),
        ({"request": {"method": "get", "url": "Patient"}}, "Bundle.entry[0].request.method"),
        ({"request": {"method": "POST", "url": "Patient"}}, "Bundle.entry[0].resource"),
        ({"request": {"method": "GET", "url": "Patient"}, "resource": []}, "Bundle.entry[0].resource"),
        ({"request": {"method": "GET", "url": "Patient"}, "fullUrl": 1}, "Bundle.entry[0].fullUrl"),
        ({"request": {"method": "POST", "url": "Patient/1"}, "resource": PATIENT}, "Bundle.entry[0].request.url"),
        ({"request": {"method": "POST", "url": "/"}, "resource": PATIENT}, "Bundle.entry[0].request.url"),
        ({"request": {"method": "PUT", "url": "Patient"}, "resource": PATIENT}, "Bundle.entry[0].request.url"),
        ({"request": {"method": "PUT", "url": "Patient/1?x=1"}, "resource": PATIENT}, "Bundle.entry[0].request.url"),
        ({"request": {"method": "DELETE", "url": "Patient/1/_history/1"}}, "Bundle.entry[0].request.url"),
    ],
)
def test_what_makes_no_sense(entry, place):
    [found] = read_entries({"entry": [entry]}, BASE_URL)
    assert isinstance(found, FhirError)
    assert [issue.expression for issue in found.issues] == [(place,)]


def test_entries_have_to_be_a_list():
    assert read_entries({}, BASE_URL) == []
    for wrong in (None, {}, "x"):
        with pytest.raises(InvalidRequest):
            read_entries({"entry": wrong}, BASE_URL)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("Patient.name[0].family", "Bundle.entry[0].resource.name[0].family"),
        ("Patient", "Bundle.entry[0].resource"),
        ("id", "Bundle.entry[0].resource.id"),
        ("resourceType", "Bundle.entry[0].resource.resourceType"),
        ("identifier", "Bundle.entry[0].request.ifNoneExist"),
        ("Bundle.entry[0].request.url", "Bundle.entry[0].request.url"),
    ],
)
def test_places_start_at_the_bundle(entry_of, given, told):
    entry = entry_of("POST", "Patient", PATIENT, ifNoneExist="identifier=x")
    [issue] = at_entry(InvalidRequest("x", expression=given), entry)
    assert issue == Issue("error", "invalid", "x", (told,))


def test_places_of_a_search_and_of_nothing(entry_of):
    entry = entry_of("GET", "Patient?_sort=x")
    assert at_entry(InvalidRequest("x", expression="_sort"), entry)[0].expression == ("Bundle.entry[0].request.url",)
    assert at_entry(InvalidRequest("x"), entry)[0].expression == ("Bundle.entry[0]",)
