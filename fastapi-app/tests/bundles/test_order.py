"""The order of a transaction, and entries that concern one resource. https://hl7.org/fhir/R4/http.html#trules"""

import pytest

from fhirserver.bundles.order import in_order, require_distinct
from fhirserver.fhir.outcomes import InvalidRequest

PATIENT = {"resourceType": "Patient"}


@pytest.fixture
def request_of(entry_of):
    urls = {"POST": "Patient", "GET": "Patient/1", "HEAD": "Patient/1", "PUT": "Patient/1", "DELETE": "Patient/1"}
    return lambda method: entry_of(method, urls[method], PATIENT)


def test_delete_post_put_get(request_of):
    methods = ["GET", "PUT", "HEAD", "POST", "DELETE", "POST", "PUT", "DELETE", "GET"]
    entries = [request_of(method) for method in methods]
    ordered = in_order(entries)
    assert [entry.method for entry in ordered] == [
        "DELETE", "DELETE", "POST", "POST", "PUT", "PUT", "GET", "HEAD", "GET"
    ]  # fmt: skip
    for method in ("POST", "PUT", "DELETE"):
        given = [entry for entry in entries if entry.method == method]
        assert [id(entry) for entry in ordered if entry.method == method] == [id(entry) for entry in given]


@pytest.mark.parametrize(
    ("one", "two", "fine"),
    [
        ("PUT", "PUT", False),
        ("PUT", "DELETE", False),
        ("DELETE", "DELETE", False),
        ("POST", "PUT", False),
        ("DELETE", "POST", False),
        ("POST", "POST", True),
    ],
)
def test_one_resource_in_two_entries(request_of, one, two, fine):
    targets = [(request_of(one), "Patient", "1"), (request_of(two), "Patient", "1")]
    if fine:
        require_distinct(targets)
    else:
        with pytest.raises(InvalidRequest):
            require_distinct(targets)


def test_other_types_and_ids_are_others(request_of):
    require_distinct(
        [(request_of("PUT"), *address) for address in (("Patient", "1"), ("Patient", "2"), ("Group", "1"))]
    )
