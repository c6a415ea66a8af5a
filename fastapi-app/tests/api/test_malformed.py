"""Bad input of every kind: its status, its OperationOutcome, and that nothing is stored."""

import gzip
import json
from typing import Any, NamedTuple

import pytest

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.validation.structure import Validator

PATIENT = b'{"resourceType":"Patient","id":"p"}'
NO_ID = b'{"resourceType":"Patient"}'


class Row(NamedTuple):
    """A request, and what its answer has: status, issue code, and a part of the issue's text or place."""

    name: str
    method: str
    url: str
    body: Any
    status: int
    code: str
    says: str
    headers: dict[str, str] = {}


def bundle(*entries: dict[str, Any], kind: str = "transaction") -> bytes:
    return json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries}).encode()


def entry(method: str, url: str, resource: Any = None, **request: str) -> dict[str, Any]:
    made: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    return made if resource is None else made | {"resource": resource}


OK = {"resourceType": "Patient"}
DEEP = b'{"resourceType":"Patient","extension":' + b'[{"url":"u","extension":' * 200 + b"[]" + b"}]" * 200 + b"}"

ROWS = [
    # the JSON itself
    Row("empty body", "POST", "Patient", b"", 400, "structure", "empty"),
    Row("broken", "POST", "Patient", b'{"resourceType":"Patient"', 400, "structure", "line 1"),
    Row("not JSON", "POST", "Patient", b"<Patient/>", 400, "structure", "line 1"),
    Row("trailing text", "POST", "Patient", NO_ID + b"x", 400, "structure", "line 1"),
    Row("an array", "POST", "Patient", b"[]", 400, "structure", "object"),
    Row("a string", "POST", "Patient", b'"x"', 400, "structure", "object"),
    Row("duplicate key", "POST", "Patient", b'{"resourceType":"Patient","active":true,"active":false}', 400, "structure", "active"),
    Row("duplicate key inside", "POST", "Patient", b'{"resourceType":"Patient","name":[{"family":"a","family":"b"}]}', 400, "structure", "family"),
    Row("NaN", "POST", "Patient", b'{"resourceType":"Patient","multipleBirthInteger":NaN}', 400, "structure", "NaN"),
    Row("Infinity", "POST", "Patient", b'{"resourceType":"Patient","multipleBirthInteger":-Infinity}', 400, "structure", "Infinity"),
    Row("invalid UTF-8", "POST", "Patient", b'{"resourceType":"Patient","language":"\xff"}', 400, "structure", "UTF-8"),
    Row("lone surrogate", "POST", "Patient", b'{"resourceType":"Patient","language":"\\ud800"}', 400, "structure", "surrogate"),
    Row("too deep", "POST", "Patient", DEEP, 400, "structure", "100"),
    Row("very deep", "POST", "Patient", b"[" * 100_000, 400, "structure", ""),
    # the resource
    Row("no resourceType", "POST", "Patient", b'{"id":"p"}', 422, "required", "resourceType"),
    Row("unknown resourceType", "POST", "Patient", b'{"resourceType":"Dog"}', 400, "invalid", "Dog"),
    Row("another resourceType", "POST", "Patient", b'{"resourceType":"Observation"}', 400, "invalid", "Observation"),
    Row("unknown element", "POST", "Patient", b'{"resourceType":"Patient","nam":1}', 422, "structure", "Patient.nam"),
    Row("wrong type", "POST", "Patient", b'{"resourceType":"Patient","active":"true"}', 422, "structure", "Patient.active"),
    Row("object for array", "POST", "Patient", b'{"resourceType":"Patient","name":{}}', 422, "structure", "Patient.name"),
    Row("array for object", "POST", "Patient", b'{"resourceType":"Patient","maritalStatus":[]}', 422, "structure", "Patient.maritalStatus"),
    Row("null", "POST", "Patient", b'{"resourceType":"Patient","gender":null}', 422, "structure", "Patient.gender"),
    Row("null in an array", "POST", "Patient", b'{"resourceType":"Patient","name":[null]}', 422, "structure", "Patient.name"),
    Row("empty object", "POST", "Patient", b'{"resourceType":"Patient","name":[{}]}', 422, "structure", "Patient.name[0]"),
    Row("empty string", "POST", "Patient", b'{"resourceType":"Patient","gender":""}', 422, "value", "Patient.gender"),
    Row("bad date", "POST", "Patient", b'{"resourceType":"Patient","birthDate":"1980-02-30"}', 422, "value", "Patient.birthDate"),
    Row("bad instant", "POST", "Patient", b'{"resourceType":"Patient","meta":{"lastUpdated":"2020"}}', 422, "value", "Patient.meta.lastUpdated"),
    Row("two choices", "POST", "Patient", b'{"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"2020"}', 422, "structure", "deceased"),
    Row("required is missing", "POST", "Observation", b'{"resourceType":"Observation","status":"final"}', 422, "required", "code"),
    Row("extension without url", "POST", "Patient", b'{"resourceType":"Patient","extension":[{"valueString":"x"}]}', 422, "required", "Patient.extension[0]"),
    # the address
    Row("unknown type", "POST", "Dog", NO_ID, 404, "not-supported", "Dog"),
    Row("unknown type read", "GET", "Dog/1", None, 404, "not-supported", "Dog"),
    Row("lower case type", "GET", "patient/1", None, 404, "not-supported", "patient"),
    Row("abstract type", "GET", "DomainResource/1", None, 404, "not-supported", "DomainResource"),
    Row("unknown id", "GET", "Patient/nobody", None, 404, "not-found", "Patient/nobody"),
    Row("bad id", "GET", "Patient/a%20b", None, 400, "value", "id"),
    Row("long id", "GET", f"Patient/{'a' * 65}", None, 400, "value", "id"),
    Row("bad version", "GET", "Patient/p/_history/a%20b", None, 400, "value", "id"),
    Row("huge version", "GET", f"Patient/p/_history/{'9' * 60}", None, 404, "not-found", "version"),
    Row("nothing there", "GET", "Patient/p/x/y/z", None, 404, "not-found", "/fhir/Patient/p/x/y/z"),
    Row("wrong method", "PATCH", "metadata", PATIENT, 405, "not-supported", "PATCH"),
    Row("PUT without id", "PUT", "Patient", PATIENT, 400, "invalid", "criteri"),
    Row("PUT without id in the body", "PUT", "Patient/p", NO_ID, 400, "invalid", "id"),
    Row("PUT of another id", "PUT", "Patient/q", PATIENT, 400, "invalid", "'q'"),
    Row("PUT to a bad id", "PUT", "Patient/a%20b", PATIENT, 400, "value", "id"),
    # headers
    Row("wrong content type", "POST", "Patient", NO_ID, 415, "not-supported", "text/plain", {"Content-Type": "text/plain"}),
    Row("XML", "POST", "Patient", b"<Patient/>", 415, "not-supported", "xml", {"Content-Type": "application/fhir+xml"}),
    Row("wrong charset", "POST", "Patient", NO_ID, 415, "not-supported", "latin", {"Content-Type": "application/fhir+json; charset=latin-1"}),
    Row("XML wanted", "GET", "Patient/p", None, 406, "not-supported", "xml", {"Accept": "application/fhir+xml"}),
    Row("XML wanted by _format", "GET", "Patient/p?_format=xml", None, 406, "not-supported", "xml"),
    Row("bad If-Match", "PUT", "Patient/p", PATIENT, 400, "invalid", "If-Match", {"If-Match": "x y"}),
    Row("If-Match of nothing", "PUT", "Patient/p", PATIENT, 412, "conflict", "If-Match", {"If-Match": 'W/"1"'}),
    Row("If-None-Exist that is no search", "POST", "Patient", NO_ID, 400, "not-supported", "nonsense", {"If-None-Exist": "nonsense=1"}),
    Row("If-None-Exist of everything", "POST", "Patient", NO_ID, 400, "invalid", "criteri", {"If-None-Exist": ""}),
    Row("broken gzip", "POST", "Patient", b"not gzip", 400, "structure", "gzip", {"Content-Encoding": "gzip"}),
    Row("gzip bomb", "POST", "Patient", gzip.compress(b" " * 50_000_000), 413, "too-long", "bytes", {"Content-Encoding": "gzip"}),
    Row("unknown encoding", "POST", "Patient", NO_ID, 415, "not-supported", "br", {"Content-Encoding": "br"}),
    Row("too large", "POST", "Patient", b" " * (16 * 1024 * 1024 + 1), 413, "too-long", "bytes"),
    Row("URL too long", "GET", f"Patient?name={'a' * 20_000}", None, 414, "too-long", "bytes"),
    # searches
    Row("unknown parameter, strict", "GET", "Patient?dog=1", None, 400, "not-supported", "dog", {"Prefer": "handling=strict"}),
    Row("unknown modifier", "GET", "Patient?name:soundslike=x", None, 400, "not-supported", ":exact"),
    Row("modifier of another type", "GET", "Patient?birthdate:exact=1980", None, 400, "not-supported", ":missing"),
    Row("bad date", "GET", "Patient?birthdate=1980-13", None, 400, "value", "birthdate"),
    Row("bad prefix", "GET", "Patient?birthdate=xx1980", None, 400, "value", "birthdate"),
    Row("bad number", "GET", "RiskAssessment?probability=many", None, 400, "value", "probability"),
    Row("bad quantity", "GET", "Observation?value-quantity=5|mg", None, 400, "value", "value-quantity"),
    Row("bad token", "GET", "Patient?gender=a|b|c", None, 400, "value", "gender"),
    Row("bad reference", "GET", "Observation?subject=a%20b", None, 400, "value", "subject"),
    Row("garbage in a cursor", "GET", "Patient?_cursor=%00%01", None, 400, "invalid", ""),
    Row("reference to a wrong type", "GET", "Observation?subject:Dog=1", None, 400, "not-supported", "Dog"),
    Row("bad missing", "GET", "Patient?name:missing=maybe", None, 400, "value", "true or false"),
    Row("empty value in a list", "GET", "Patient?name=a,,b", None, 400, "value", "name"),
    Row("bad count", "GET", "Patient?_count=-1", None, 400, "value", "_count"),
    Row("bad sort", "GET", "Patient?_sort=dog", None, 400, "value", "_sort"),
    Row("bad include", "GET", "Patient?_include=Patient", None, 400, "value", "_include"),
    Row("include by no reference", "GET", "Patient?_include=Patient:name", None, 400, "value", "_include"),
    Row("bad total", "GET", "Patient?_total=some", None, 400, "value", "_total"),
    Row("bad summary", "GET", "Patient?_summary=short", None, 400, "value", "_summary"),
    Row("made-up cursor", "GET", "Patient?_cursor=AAAA", None, 400, "value", "_cursor"),
    Row("garbage cursor", "GET", "Patient?_cursor=%00%ff", None, 400, "invalid", "UTF-8"),
    Row("too many values", "GET", "Patient?_id=" + ",".join("1" * 3000), None, 400, "too-costly", "_id"),
    Row("bad _since", "GET", "Patient/_history?_since=yesterday", None, 400, "value", "_since"),
    Row("bad history count", "GET", "_history?_count=x", None, 400, "value", "_count"),
    Row("unknown history parameter", "GET", "_history?name=x", None, 400, "not-supported", "name"),
    Row("history of nothing", "GET", "Patient/nobody/_history", None, 404, "not-found", "Patient/nobody"),
    # bundles
    Row("no bundle", "POST", "", PATIENT, 400, "invalid", "Bundle"),
    Row("a searchset", "POST", "", bundle(kind="searchset"), 400, "invalid", "searchset"),
    Row("entry without request", "POST", "", bundle({"resource": OK}), 400, "invalid", "Bundle.entry[0].request"),
    Row("unknown method", "POST", "", bundle(entry("FETCH", "Patient")), 400, "invalid", "FETCH"),
    Row("POST without resource", "POST", "", bundle(entry("POST", "Patient")), 400, "invalid", "Bundle.entry[0].resource"),
    Row("POST to an id", "POST", "", bundle(entry("POST", "Patient/1", OK)), 400, "invalid", "Patient/1"),
    Row("bad resource in a transaction", "POST", "", bundle(entry("POST", "Patient", OK), entry("POST", "Patient", OK | {"x": 1})), 422, "structure", "Bundle.entry[1].resource.x"),
    Row("one of two fails", "POST", "", bundle(entry("POST", "Patient", OK), entry("PUT", "Patient/p", OK | {"id": "p"}, ifMatch='W/"7"')), 412, "conflict", "Bundle.entry[1]"),
    Row("the same resource twice", "POST", "", bundle(entry("PUT", "Patient/p", OK | {"id": "p"}), entry("DELETE", "Patient/p")), 400, "invalid", "Bundle.entry[1]"),
    Row("a reference that matches nothing", "POST", "", bundle(entry("POST", "Account", {"resourceType": "Account", "status": "active", "subject": [{"reference": "Patient?identifier=a|nobody"}]})), 400, "not-found", "Bundle.entry[0].resource.subject[0].reference"),
    Row("a read of nothing", "POST", "", bundle(entry("POST", "Patient", OK), entry("GET", "Patient/nobody")), 404, "not-found", "Bundle.entry[1]"),
    Row("unknown type in a transaction", "POST", "", bundle(entry("POST", "Dog", {"resourceType": "Dog"})), 422, "not-supported", "Dog"),
]  # fmt: skip


def test_there_are_enough_rows():
    assert len(ROWS) >= 60
    assert len({row.name for row in ROWS}) > 60


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_bad_input_is_refused_with_place_and_reason(row: Row, client, pool, definitions: Definitions):
    async def stored() -> int:
        async with pool.connection() as driver:
            return await driver.fetchval(
                "SELECT (SELECT count(*) FROM resource) + (SELECT count(*) FROM resource_history)"
            )

    before = await stored()
    answer = await client.request(row.method, row.url, content=row.body, headers=row.headers)
    outcome = answer.json()
    assert (answer.status_code, outcome["issue"][0]["code"]) == (row.status, row.code), outcome
    assert Validator(definitions).validate(outcome, "OperationOutcome") == []
    assert outcome["issue"][0]["severity"] in ("error", "fatal")
    told = json.dumps([[issue["diagnostics"], issue.get("expression")] for issue in outcome["issue"]])
    assert row.says in told
    assert await stored() == before
