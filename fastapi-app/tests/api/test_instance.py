"""Read and vread over HTTP: headers, conditional reads, formats, compression.

https://hl7.org/fhir/R4/http.html#read and #vread
"""

import gzip
import json

import pytest

from fhirserver.fhir.validation.validator import Validator

from .building import patient, unique

NUMBERS = ("1.00", "1e2", "-0.0", "0.10E-3", "12345678901234567890.123456789", "100", "-0")
EXTENSIONS = ",".join(f'{{"url":"http://x/é","valueDecimal":{number}}}' for number in NUMBERS)
EXACT = f'{{"resourceType":"Patient","extension":[{EXTENSIONS}]}}'


async def test_a_read_is_the_stored_bytes_and_one_statement(client, statements):
    answer = await client.post("Patient", content=EXACT.encode())
    assert answer.status_code == 201, answer.text
    address = f"Patient/{answer.json()['id']}"
    statements.names.clear()
    read = await client.get(address)
    assert statements.names == ["read"]
    assert read.content == answer.content
    extensions = EXACT[EXACT.index('"extension"') :].encode()
    assert read.content.endswith(extensions)
    statements.names.clear()
    version = await client.get(f"{address}/_history/1")
    assert statements.names == ["read_version"]
    assert version.content == answer.content
    for number in NUMBERS:
        assert f'"valueDecimal": {number}\n' in (await client.get(f"{address}?_pretty=true")).text


async def test_headers_of_a_read(timed, clock):
    id = (await timed.post("Patient", json=patient())).json()["id"]
    answer = await timed.get(f"Patient/{id}")
    assert answer.headers["etag"] == 'W/"1"'
    assert answer.headers["last-modified"] == "Sat, 31 Jan 2026 09:30:00 GMT"
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json()["meta"] == {"versionId": "1", "lastUpdated": "2026-01-31T09:30:00.123Z"}
    assert "location" not in answer.headers


async def test_head_is_a_read_without_body(client, create):
    address = f"Patient/{(await create(patient())).json()['id']}"
    for url in (address, f"{address}/_history/1", address + "?_pretty=true"):
        head, get = await client.head(url), await client.get(url)
        assert head.status_code == 200
        assert {name: head.headers[name] for name in ("etag", "last-modified", "content-length")} == {
            name: get.headers[name] for name in ("etag", "last-modified", "content-length")
        }
    assert (await client.head(f"Patient/{unique()}")).status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": 'W/"2"'}, 304),
        ({"If-None-Match": '"2"'}, 304),
        ({"If-None-Match": "2"}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": 'W/"7", W/"2"'}, 304),
        ({"If-None-Match": 'W/"1"'}, 200),
        ({"If-Modified-Since": "Sat, 31 Jan 2026 09:30:05 GMT"}, 304),
        ({"If-Modified-Since": "Sat, 31 Jan 2026 10:30:05 +0100"}, 304),
        ({"If-Modified-Since": "Sat, 31 Jan 2026 09:30:04 GMT"}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Modified-Since": "Fri, 31 Dec 9999 23:59:59 -2359"}, 304),
        ({"If-None-Match": 'W/"1"', "If-Modified-Since": "Sat, 31 Jan 2026 09:30:05 GMT"}, 200),
        ({"If-None-Match": 'W/"2"', "If-Modified-Since": "Sat, 31 Jan 2020 09:30:05 GMT"}, 304),
    ],
    ids=str,
)
async def test_a_conditional_read(timed, clock, headers, status):
    body = (await timed.post("Patient", json=patient())).json()
    clock.go_on(seconds=5)
    await timed.put(f"Patient/{body['id']}", json=body)
    answer = await timed.get(f"Patient/{body['id']}", headers=headers)
    assert answer.status_code == status
    assert answer.headers["etag"] == 'W/"2"'
    assert answer.headers["last-modified"] == "Sat, 31 Jan 2026 09:30:05 GMT"
    assert bool(answer.content) == (status == 200)


async def test_versions_that_are_not_there(client, create):
    address = f"Patient/{(await create(patient())).json()['id']}"
    for version in ("0", "2", "-1", "x", "01.5", "9" * 20, "9" * 60):
        assert (await client.get(f"{address}/_history/{version}")).status_code == 404, version


@pytest.mark.parametrize(
    ("accept", "format", "kind"),
    [
        (None, None, "application/fhir+json"),
        ("*/*", None, "application/fhir+json"),
        ("application/*", None, "application/fhir+json"),
        ("application/json", None, "application/json"),
        ("application/json, application/fhir+json;q=0.9", None, "application/json"),
        ("text/html, application/json;q=0.5", None, "application/json"),
        ("application/fhir+json; fhirVersion=4.0", None, "application/fhir+json"),
        ("application/fhir+xml", "json", "application/fhir+json"),
        ("application/fhir+xml", "application/fhir+json", "application/fhir+json"),
        ("application/fhir+xml", "application/json", "application/fhir+json"),
        ("application/fhir+xml", "application/fhir%2Bjson", "application/fhir+json"),
        ("application/fhir+xml", None, None),
        ("application/fhir+json;q=0", None, None),
        ("application/fhir+json; fhirVersion=3.0", None, None),
        (None, "xml", None),
        (None, "application/fhir%2Bjson; fhirVersion=5.0", None),
    ],
)
async def test_the_format_is_negotiated(client, create, accept, format, kind):
    id = (await create(patient())).json()["id"]
    url = f"Patient/{id}" + (f"?_format={format}" if format else "")
    answer = await client.get(url, headers={"Accept": accept or ""})
    if kind is None:
        assert answer.status_code == 406
        assert answer.json()["resourceType"] == "OperationOutcome"
    else:
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "text/json",
        "APPLICATION/FHIR+JSON",
        'application/fhir+json; charset="UTF-8"; fhirVersion=4.0',
    ],
)
async def test_bodies_of_several_kinds_are_taken(client, kind):
    answer = await client.post("Patient", content=json.dumps(patient()), headers={"Content-Type": kind})
    assert answer.status_code == 201


async def test_gzip_both_ways(client):
    body = json.dumps(patient(extension=[{"url": "http://x", "valueString": "abc" * 2000}])).encode()
    created = await client.post("Patient", content=gzip.compress(body), headers={"Content-Encoding": "gzip"})
    assert created.status_code == 201
    url = f"Patient/{created.json()['id']}"
    packed = await client.get(url, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json() == created.json()
    for refusing in ("identity", "gzip;q=0", "br"):
        plain = await client.get(url, headers={"Accept-Encoding": refusing})
        assert "content-encoding" not in plain.headers
        assert plain.content == packed.content


async def test_the_capability_statement_is_valid_and_names_every_type(client, definitions):
    statement = (await client.get("metadata")).json()
    assert Validator(definitions).validate(statement, "CapabilityStatement") == []
    assert [item["type"] for item in statement["rest"][0]["resource"]] == list(definitions.resource_types)
    [rest] = statement["rest"]
    assert "search-system" in [interaction["code"] for interaction in rest["interaction"]]
    assert {"_text", "_content", "_filter", "_has", "_list"} <= {known["name"] for known in rest["searchParam"]}
    assert "http://hl7.org/fhir/CompartmentDefinition/patient" in rest["compartment"]
    terminology = (await client.get("metadata?mode=terminology")).json()
    assert Validator(definitions).validate(terminology, "TerminologyCapabilities") == []


async def test_methods_that_an_address_does_not_have(client):
    for method, url, allowed in (
        ("PATCH", "Patient/1", "GET, PUT, DELETE, HEAD"),
        ("POST", "Patient/1", "GET, PUT, DELETE, HEAD"),
        ("DELETE", "Patient/1/_history/1", "GET, HEAD"),
        ("PUT", "Patient/_history", "GET, HEAD"),
        ("GET", "Patient/_search", "POST"),
        ("PUT", "metadata", "GET, HEAD"),
        ("OPTIONS", "Patient", "GET, POST, PUT, DELETE, HEAD"),
    ):
        answer = await client.request(method, url)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


async def test_the_request_id_is_given_back(client):
    assert (await client.get("Patient/x", headers={"X-Request-ID": "mine-1"})).headers["x-request-id"] == "mine-1"
    for bad in ("two words", "x" * 65):
        assert (await client.get("Patient/x", headers={"X-Request-ID": bad})).headers["x-request-id"] != bad
