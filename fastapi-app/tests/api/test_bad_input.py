"""Bad input of every kind: its status, its OperationOutcome, and that nothing is stored."""

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.validation.validator import Validator

from . import building
from .building import URN, basic, entry, observation, patient, unique

PATIENT = b'{"resourceType":"Patient","id":"p"}'
NO_ID = b'{"resourceType":"Patient"}'


class Row(NamedTuple):
    """A request, and what its answer has: status, issue code, and a part of the issue's text or place.

    `{here}` in a URL is the id of a patient that exists. A body that is a list is sent in these chunks.
    """

    name: str
    method: str
    url: str
    body: Any
    status: int
    code: str
    says: str
    headers: dict[str, str] = {}


def bundle(*entries: Any, kind: str = "transaction") -> bytes:
    return json.dumps(building.bundle(*entries, kind=kind)).encode()


def patient_with(text: str) -> bytes:
    """A patient with these further elements."""
    return b'{"resourceType":"Patient",' + text.encode() + b"}"


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
    Row("a byte order mark of UTF-16", "POST", "Patient", NO_ID.decode().encode("utf-16"), 400, "structure", "UTF-8"),
    Row("half of an escaped character in a key", "POST", "Patient", patient_with('"\\ud83d":1'), 400, "structure", "surrogate"),
    Row("second half before the first", "POST", "Patient", patient_with('"language":"\\udc00\\ud800"'), 400, "structure", "surrogate"),
    Row("single quotes", "POST", "Patient", b"{'resourceType':'Patient'}", 400, "structure", "line 1, column 2"),
    Row("a comma too much", "POST", "Patient", b'{"resourceType":"Patient",\n}', 400, "structure", "line 2, column 1"),
    Row("a leading zero", "POST", "Patient", patient_with('"multipleBirthInteger":01'), 400, "structure", "line 1"),
    Row("a number out of range", "POST", "Patient", patient_with('"multipleBirthInteger":1e99999999999999999999'), 400, "structure", "range"),
    Row("a bare line feed in a string", "POST", "Patient", patient_with('"language":"\n"'), 400, "structure", "control character"),
    Row("two documents", "POST", "Patient", NO_ID + NO_ID, 400, "structure", "Extra data"),
    Row("a NUL byte", "POST", "Patient", b"\x00", 400, "structure", "line 1, column 1"),
    Row("NaN in an update", "PUT", "Patient/p", b'{"resourceType":"Patient","id":"p","multipleBirthInteger":NaN}', 400, "structure", "NaN"),
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
    Row("resourceType is no string", "POST", "Patient", b'{"resourceType":5}', 422, "structure", "resource type"),
    Row("id is no string", "POST", "Patient", patient_with('"id":5'), 422, "structure", "Patient.id"),
    Row("id with a blank", "POST", "Patient", patient_with('"id":"a b"'), 422, "value", "Patient.id"),
    Row("meta is no object", "POST", "Patient", patient_with('"meta":[]'), 422, "structure", "Patient.meta"),
    Row("a control character", "POST", "Patient", patient_with('"name":[{"family":"a\\u0000b"}]'), 422, "value", "Patient.name[0].family"),
    Row("a separator of ours", "POST", "Patient", patient_with('"name":[{"family":"a\\u001eb"}]'), 422, "value", "Patient.name[0].family"),
    Row("a fraction for an integer", "POST", "Patient", patient_with('"multipleBirthInteger":1.5'), 422, "value", "Patient.multipleBirthInteger"),
    Row("an integer of 80 bits", "POST", "Patient", patient_with(f'"multipleBirthInteger":{2**80}'), 422, "value", "Patient.multipleBirthInteger"),
    Row("more than a double can hold", "POST", "Patient", patient_with('"extension":[{"url":"http://x","valueDecimal":1e400}]'), 422, "value", "Patient.extension[0].valueDecimal"),
    Row("a decimal of 20,000 digits", "POST", "Patient", patient_with(f'"extension":[{{"url":"http://x","valueDecimal":1.{"1" * 20_000}}}]'), 422, "value", "Patient.extension[0].valueDecimal"),
    Row("null without an extension beside it", "POST", "Patient", patient_with('"name":[{"given":[null]}]'), 422, "structure", "Patient.name[0].given[0]"),
    Row("an empty array", "POST", "Patient", patient_with('"name":[]'), 422, "structure", "Patient.name"),
    Row("an array in an array", "POST", "Patient", patient_with('"name":[[{"family":"x"}]]'), 422, "structure", "Patient.name[0]"),
    Row("a number for the extension of a primitive", "POST", "Patient", patient_with('"_gender":5'), 422, "structure", "Patient.gender"),
    Row("contained without a type", "POST", "Patient", patient_with('"contained":[{"id":"a"}]'), 422, "required", "Patient.contained[0]"),
    Row("contained of no type of R4", "POST", "Patient", patient_with('"contained":[{"resourceType":"Dog","id":"a"}]'), 422, "structure", "Patient.contained[0]"),
    Row("base64 that is none", "POST", "Patient", patient_with('"photo":[{"data":"###"}]'), 422, "value", "Patient.photo[0].data"),
    Row("narrative that is no div", "POST", "Patient", patient_with('"text":{"status":"generated","div":"<script>"}'), 422, "invariant", "Patient.text.div"),
    Row("a reference that is no string", "POST", "Patient", patient_with('"managingOrganization":{"reference":5}'), 422, "structure", "Patient.managingOrganization.reference"),
    Row("comments", "POST", "Patient", patient_with('"fhir_comments":["x"]'), 422, "structure", "fhir_comments"),
    Row("an element without a name", "POST", "Patient", patient_with('"":1'), 422, "structure", "Patient"),
    Row("several problems", "POST", "Patient", patient_with('"active":1,"name":[{"use":5}]'), 422, "structure", "Patient.name[0].use"),
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
    Row("PUT of an unknown type", "PUT", "Dog/p", b'{"resourceType":"Dog","id":"p"}', 404, "not-supported", "Dog"),
    Row("PUT of a number as id", "PUT", "Patient/5", b'{"resourceType":"Patient","id":5}', 400, "invalid", "id"),
    Row("PUT of another type", "PUT", "Patient/p", b'{"resourceType":"Person","id":"p"}', 400, "invalid", "Person"),
    Row("DELETE of a bad id", "DELETE", "Patient/a%20b", None, 400, "value", "id"),
    Row("DELETE of an unknown type", "DELETE", "Dog/1", None, 404, "not-supported", "Dog"),
    Row("NUL in an id", "GET", "Patient/%00", None, 400, "value", "id"),
    Row("half of a character in an id", "GET", "Patient/%ff", None, 400, "value", "id"),
    Row("digits of another script as a version", "GET", "Patient/{here}/_history/%D9%A1", None, 400, "value", "id"),
    Row("a version that is none", "GET", "Patient/{here}/_history/2", None, 404, "not-found", "version 2"),
    Row("an operation on everything", "POST", "$nothing", b"{}", 404, "not-supported", "$nothing"),
    Row("an operation on a type", "GET", "Patient/$match", None, 404, "not-supported", "$match"),
    Row("an operation on a resource", "GET", "Patient/{here}/$everything", None, 404, "not-supported", "$everything"),
    Row("nothing beside the base", "GET", "http://test/fhirs", None, 404, "not-found", "/fhirs"),
    Row("nothing above the base", "GET", "http://test/x", None, 404, "not-found", "/x"),
    Row("a method nobody knows", "BREW", "Patient/{here}", None, 405, "not-supported", "BREW"),
    Row("POST to a resource", "POST", "Patient/{here}", PATIENT, 405, "not-supported", "POST"),
    Row("DELETE of a version", "DELETE", "Patient/{here}/_history/1", None, 405, "not-supported", "DELETE"),
    Row("DELETE of everything", "DELETE", "", None, 405, "not-supported", "DELETE"),
    Row("DELETE of a type", "DELETE", "Patient", None, 400, "invalid", "criteri"),
    Row("DELETE by unknown criteria", "DELETE", "Patient?dog=1", None, 400, "not-supported", "dog"),
    Row("DELETE by an order", "DELETE", "Patient?_sort=name&_count=1", None, 400, "invalid", "criteri"),
    Row("PUT by bad criteria", "PUT", "Patient?birthdate=never", NO_ID, 400, "value", "birthdate"),
    Row("search over all types by what few have", "GET", "?name=x", None, 400, "not-supported", "has no search", {"Prefer": "handling=strict"}),
    Row("search over a type that is none", "GET", "?_type=Patient,Dog", None, 400, "value", "Dog"),
    Row("search over several types in the order of one", "GET", "?_sort=name", None, 400, "not-supported", "_lastUpdated"),
    Row("a compartment that is none", "GET", "Organization/o/Patient", None, 404, "not-supported", "Organization"),
    Row("a compartment of a bad id", "GET", "Patient/a%20b/Observation", None, 400, "value", "id"),
    Row("a type that is in no such compartment", "GET", "Patient/p/Organization", None, 400, "not-supported", "Organization"),
    Row("an unknown type in a compartment", "GET", "Patient/p/Dog", None, 404, "not-supported", "Dog"),
    Row("unknown mode of the capabilities", "GET", "metadata?mode=all", None, 400, "value", "terminology"),
    # headers
    Row("wrong content type", "POST", "Patient", NO_ID, 415, "not-supported", "text/plain", {"Content-Type": "text/plain"}),
    Row("XML", "POST", "Patient", b"<Patient/>", 415, "not-supported", "xml", {"Content-Type": "application/fhir+xml"}),
    Row("wrong charset", "POST", "Patient", NO_ID, 415, "not-supported", "latin", {"Content-Type": "application/fhir+json; charset=latin-1"}),
    Row("XML wanted", "GET", "Patient/p", None, 406, "not-supported", "xml", {"Accept": "application/fhir+xml"}),
    Row("XML wanted by _format", "GET", "Patient/p?_format=xml", None, 406, "not-supported", "xml"),
    Row("bad If-Match", "PUT", "Patient/p", PATIENT, 400, "invalid", "If-Match", {"If-Match": "x y"}),
    Row("empty If-Match", "PUT", "Patient/p", PATIENT, 400, "invalid", "If-Match", {"If-Match": ""}),
    Row("bad If-None-Match", "GET", "Patient/{here}", None, 400, "invalid", "If-None-Match", {"If-None-Match": "W/1"}),
    Row("bad If-Match of a delete", "DELETE", "Patient/{here}", None, 400, "invalid", "If-Match", {"If-Match": "W/1"}),
    Row("no content type", "POST", "Patient", NO_ID, 415, "not-supported", "Content-Type", {"Content-Type": ""}),
    Row("another version of FHIR", "POST", "Patient", NO_ID, 415, "not-supported", "5.0", {"Content-Type": "application/fhir+json; fhirVersion=5.0"}),
    Row("a form for a resource", "POST", "Patient", b"a=b", 415, "not-supported", "form", {"Content-Type": "application/x-www-form-urlencoded"}),
    Row("a resource for a form", "POST", "Patient/_search", NO_ID, 415, "not-supported", "fhir+json"),
    Row("charset of a form", "POST", "Patient/_search", b"name=x", 415, "not-supported", "utf-16", {"Content-Type": "application/x-www-form-urlencoded; charset=utf-16"}),
    Row("no quality is good enough", "GET", "Patient/{here}", None, 406, "not-supported", "q=0", {"Accept": "*/*;q=0"}),
    Row("another version of FHIR wanted", "GET", "Patient/{here}", None, 406, "not-supported", "3.0", {"Accept": "application/fhir+json; fhirVersion=3.0"}),
    Row("XML wanted of a search", "GET", "Patient?_format=application/fhir%2Bxml", None, 406, "not-supported", "xml"),
    Row("XML wanted of a write", "POST", "Patient", NO_ID, 406, "not-supported", "xml", {"Accept": "application/fhir+xml"}),
    Row("bad _pretty", "GET", "Patient/{here}?_pretty=maybe", None, 400, "value", "_pretty"),
    Row("Host that is none", "GET", "Patient/{here}", None, 400, "invalid", "Host", {"Host": "a b"}),
    Row("Content-Length that is none", "POST", "Patient", NO_ID, 400, "invalid", "Content-Length", {"Content-Length": "many"}),
    Row("If-None-Exist with NUL", "POST", "Patient", NO_ID, 400, "invalid", "U+0000", {"If-None-Exist": "name=%00"}),
    Row("If-None-Exist that is not UTF-8", "POST", "Patient", NO_ID, 400, "invalid", "UTF-8", {"If-None-Exist": "name=%ff"}),
    Row("If-None-Exist of another type", "POST", "Patient", NO_ID, 400, "invalid", "Person", {"If-None-Exist": "Person?name=x"}),
    Row("If-None-Exist of a bad id", "POST", "Patient", NO_ID, 400, "value", "_id", {"If-None-Exist": "_id=a%20b"}),
    Row("If-None-Exist of nothing but an order", "POST", "Patient", NO_ID, 400, "invalid", "criteri", {"If-None-Exist": "_sort=name"}),
    Row("If-Match of nothing", "PUT", "Patient/p", PATIENT, 412, "conflict", "If-Match", {"If-Match": 'W/"1"'}),
    Row("If-None-Exist that is no search", "POST", "Patient", NO_ID, 400, "not-supported", "nonsense", {"If-None-Exist": "nonsense=1"}),
    Row("If-None-Exist of everything", "POST", "Patient", NO_ID, 400, "invalid", "criteri", {"If-None-Exist": ""}),
    Row("broken gzip", "POST", "Patient", b"not gzip", 400, "structure", "gzip", {"Content-Encoding": "gzip"}),
    Row("gzip bomb", "POST", "Patient", gzip.compress(b" " * 50_000_000), 413, "too-long", "bytes", {"Content-Encoding": "gzip"}),
    Row("unknown encoding", "POST", "Patient", NO_ID, 415, "not-supported", "br", {"Content-Encoding": "br"}),
    Row("too large", "POST", "Patient", b" " * (16 * 1024 * 1024 + 1), 413, "too-long", "bytes"),
    Row("too large in chunks", "POST", "Patient", [b" " * (1 << 20)] * 17, 413, "too-long", "bytes"),
    Row("broken in chunks", "POST", "Patient", [b'{"resourceType":', b'"Pat', b"ient"], 400, "structure", "line 1"),
    Row("gzip that is cut off", "POST", "Patient", gzip.compress(NO_ID * 100)[:-9], 400, "structure", "cut off", {"Content-Encoding": "gzip"}),
    Row("gzip followed by something else", "POST", "Patient", gzip.compress(NO_ID) + b"x" * 20, 400, "structure", "gzip", {"Content-Encoding": "gzip"}),
    Row("gzip of nothing", "POST", "Patient", gzip.compress(b""), 400, "structure", "empty", {"Content-Encoding": "gzip"}),
    Row("a gzip bomb in chunks", "POST", "Patient", [gzip.compress(b" " * 20_000_000)[at : at + 999] for at in range(0, 20_000, 999)], 413, "too-long", "bytes", {"Content-Encoding": "gzip"}),
    Row("gzip in gzip", "POST", "Patient", NO_ID, 415, "not-supported", "gzip, gzip", {"Content-Encoding": "gzip, gzip"}),
    Row("too long a path", "GET", "Patient/" + "a" * 20_000, None, 414, "too-long", "bytes"),
    Row("URL too long", "GET", f"Patient?name={'a' * 20_000}", None, 414, "too-long", "bytes"),
    # searches
    Row("unknown parameter, strict", "GET", "Patient?dog=1", None, 400, "not-supported", "dog", {"Prefer": "handling=strict"}),
    Row("unknown modifier", "GET", "Patient?name:soundslike=x", None, 400, "not-supported", ":exact"),
    Row("modifier of another type", "GET", "Patient?birthdate:exact=1980", None, 400, "not-supported", ":missing"),
    Row("bad date", "GET", "Patient?birthdate=1980-13", None, 400, "value", "birthdate"),
    Row("a date of the calendar's beginning", "GET", "Patient?birthdate=0000", None, 400, "value", "birthdate"),
    Row("an hour too late", "GET", "Patient?birthdate=2020-01-01T24:00", None, 400, "value", "birthdate"),
    Row("a bad moment", "GET", "Patient?_lastUpdated=gtnow", None, 400, "value", "_lastUpdated"),
    Row("only a prefix", "GET", "Patient?birthdate=gt", None, 400, "value", "birthdate"),
    Row("bad prefix", "GET", "Patient?birthdate=xx1980", None, 400, "value", "birthdate"),
    Row("bad number", "GET", "RiskAssessment?probability=many", None, 400, "value", "probability"),
    Row("bad quantity", "GET", "Observation?value-quantity=5|mg", None, 400, "value", "value-quantity"),
    Row("quantity without a number", "GET", "Observation?value-quantity=|s|c", None, 400, "value", "value-quantity"),
    Row("an infinite number", "GET", "RiskAssessment?probability=Infinity", None, 400, "value", "probability"),
    Row("a number beyond all", "GET", "RiskAssessment?probability=1e400", None, 400, "value", "probability"),
    Row("an empty token", "GET", "Observation?code=|", None, 400, "value", "code"),
    Row("nothing to look for", "GET", "Patient?name=%20", None, 400, "value", "name"),
    Row("half of a character in a value", "GET", "Patient?name=%ED%A0%80", None, 400, "invalid", "UTF-8"),
    Row("NUL in a value", "GET", "Patient?name=%00", None, 400, "invalid", "U+0000"),
    Row("NUL in a form", "POST", "Patient/_search", b"name=%00", 400, "invalid", "U+0000", {"Content-Type": "application/x-www-form-urlencoded"}),
    Row("too many parameters", "GET", "Patient?" + "&".join(["_id=1"] * 1001), None, 400, "too-costly", "1000"),
    Row("a query that is not known", "GET", "Patient?_query=x", None, 400, "not-found", "_query"),
    Row("a bad id to search for", "GET", "Patient?_id=a%20b", None, 400, "value", "_id"),
    Row("an unknown type to search", "GET", "Dog?name=x", None, 404, "not-supported", "Dog"),
    Row("unknown parameter of a form, strict", "POST", "Patient/_search", b"dog=1", 400, "not-supported", "dog", {"Prefer": "handling=strict", "Content-Type": "application/x-www-form-urlencoded"}),
    Row("a chain from nowhere", "GET", "Patient?birthdate.name=x", None, 400, "value", "birthdate"),
    Row("a half _has", "GET", "Patient?_has:Observation=x", None, 400, "value", "_has"),
    Row("bad token", "GET", "Patient?gender=a|b|c", None, 400, "value", "gender"),
    Row("bad reference", "GET", "Observation?subject=a%20b", None, 400, "value", "subject"),
    Row("garbage in a cursor", "GET", "Patient?_cursor=%00%01", None, 400, "invalid", ""),
    Row("reference to a wrong type", "GET", "Observation?subject:Dog=1", None, 400, "not-supported", "Dog"),
    Row("bad missing", "GET", "Patient?name:missing=maybe", None, 400, "value", "true or false"),
    Row("empty value in a list", "GET", "Patient?name=a,,b", None, 400, "value", "name"),
    Row("bad count", "GET", "Patient?_count=-1", None, 400, "value", "_count"),
    Row("a count in words", "GET", "Patient?_count=ten", None, 400, "value", "_count"),
    Row("a count of other digits", "GET", "Patient?_count=%D9%A1", None, 400, "value", "_count"),
    Row("an empty count", "GET", "Patient?_count=", None, 400, "value", "_count"),
    Row("an order of nothing", "GET", "Patient?_sort=name,,", None, 400, "value", "_sort"),
    Row("an order twice turned", "GET", "Patient?_sort=--name", None, 400, "value", "_sort"),
    Row("an order by what has none", "GET", "Observation?_sort=component-code-value-quantity", None, 400, "not-supported", "_sort"),
    Row("include of an unknown type", "GET", "Patient?_include=Dog:name", None, 400, "value", "_include"),
    Row("include towards an unknown type", "GET", "Patient?_include=Patient:organization:Dog", None, 400, "value", "Dog"),
    Row("include with a bad modifier", "GET", "Patient?_include:recurse=Patient:organization", None, 400, "not-supported", "_include"),
    Row("bad revinclude", "GET", "Patient?_revinclude=x", None, 400, "value", "_revinclude"),
    Row("includes beside a text", "GET", "Patient?_summary=text&_include=Patient:organization", None, 400, "invalid", "_summary"),
    Row("bad sort", "GET", "Patient?_sort=dog", None, 400, "value", "_sort"),
    Row("bad include", "GET", "Patient?_include=Patient", None, 400, "value", "_include"),
    Row("include by no reference", "GET", "Patient?_include=Patient:name", None, 400, "value", "_include"),
    Row("bad total", "GET", "Patient?_total=some", None, 400, "value", "_total"),
    Row("bad summary", "GET", "Patient?_summary=short", None, 400, "value", "_summary"),
    Row("made-up cursor", "GET", "Patient?_cursor=AAAA", None, 400, "value", "_cursor"),
    Row("garbage cursor", "GET", "Patient?_cursor=%00%ff", None, 400, "invalid", "UTF-8"),
    Row("too many values", "GET", "Patient?_id=" + ",".join("1" * 3000), None, 400, "too-costly", "_id"),
    Row("bad _since", "GET", "Patient/_history?_since=yesterday", None, 400, "value", "_since"),
    Row("bad _at", "GET", "Patient/{here}/_history?_at=2020-13", None, 400, "value", "_at"),
    Row("a _since before all time", "GET", "_history?_since=0001-01-01T00:00:00%2B14:00", None, 400, "value", "_since"),
    Row("made-up cursor of a history", "GET", "Patient/{here}/_history?_cursor=AAAA", None, 400, "value", "_cursor"),
    Row("negative history count", "GET", "Patient/_history?_count=-1", None, 400, "value", "_count"),
    Row("history of an unknown type", "GET", "Dog/_history", None, 404, "not-supported", "Dog"),
    Row("history of a bad id", "GET", "Patient/a%20b/_history", None, 400, "value", "id"),
    Row("bad history count", "GET", "_history?_count=x", None, 400, "value", "_count"),
    Row("unknown history parameter", "GET", "_history?name=x", None, 400, "not-supported", "name"),
    Row("history of nothing", "GET", "Patient/nobody/_history", None, 404, "not-found", "Patient/nobody"),
    # bundles
    Row("no bundle", "POST", "", PATIENT, 400, "invalid", "Bundle"),
    Row("a searchset", "POST", "", bundle(kind="searchset"), 400, "invalid", "searchset"),
    Row("no type of Bundle", "POST", "", b'{"resourceType":"Bundle"}', 400, "invalid", "Bundle.type"),
    Row("a type of Bundle that is no string", "POST", "", b'{"resourceType":"Bundle","type":["batch"]}', 400, "invalid", "Bundle.type"),
    Row("entries that are no list", "POST", "", b'{"resourceType":"Bundle","type":"batch","entry":{}}', 400, "structure", "Bundle.entry"),
    Row("an entry that is null", "POST", "", bundle(None), 400, "invalid", "Bundle.entry[0]"),
    Row("a request that is a list", "POST", "", bundle({"request": []}), 400, "invalid", "Bundle.entry[0].request"),
    Row("a method that is null", "POST", "", bundle({"request": {"method": None, "url": "Patient"}}), 400, "invalid", "Bundle.entry[0].request"),
    Row("a method in lower case", "POST", "", bundle(entry("post", "Patient", OK)), 400, "invalid", "Bundle.entry[0].request.method"),
    Row("PATCH in a transaction", "POST", "", bundle(entry("PATCH", "Patient/1", OK)), 400, "invalid", "PATCH"),
    Row("a request without url", "POST", "", bundle({"request": {"method": "GET"}}), 400, "invalid", "Bundle.entry[0].request.url"),
    Row("a fullUrl that is a number", "POST", "", bundle(entry("POST", "Patient", OK) | {"fullUrl": 5}), 400, "invalid", "Bundle.entry[0].fullUrl"),
    Row("a resource that is a list", "POST", "", bundle(entry("POST", "Patient", [])), 400, "invalid", "Bundle.entry[0].resource"),
    Row("a transaction in a transaction", "POST", "", bundle(entry("POST", "/", building.bundle())), 400, "invalid", "Bundle.entry[0].request.url"),
    Row("PUT without id in a transaction", "POST", "", bundle(entry("PUT", "Patient/p", OK)), 400, "invalid", "Bundle.entry[0].resource.id"),
    Row("PUT of a type in a transaction", "POST", "", bundle(entry("PUT", "Patient", OK)), 400, "invalid", "Bundle.entry[0].request.url"),
    Row("PUT of another id in a transaction", "POST", "", bundle(entry("PUT", "Patient/p", OK | {"id": "q"})), 400, "invalid", "Bundle.entry[0].resource.id"),
    Row("PUT to a bad id in a transaction", "POST", "", bundle(entry("PUT", "Patient/%00", OK | {"id": "q"})), 400, "value", "Bundle.entry[0]"),
    Row("another type in a transaction", "POST", "", bundle(entry("POST", "Patient", basic())), 400, "invalid", "Bundle.entry[0].resource.resourceType"),
    Row("DELETE of a type in a transaction", "POST", "", bundle(entry("DELETE", "Patient")), 400, "invalid", "Bundle.entry[0].request.url"),
    Row("DELETE without criteria in a transaction", "POST", "", bundle(entry("DELETE", "Patient?")), 400, "invalid", "criteri"),
    Row("bad If-Match in a transaction", "POST", "", bundle(entry("PUT", "Patient/p", OK | {"id": "p"}, ifMatch="x y")), 400, "invalid", "Bundle.entry[0]"),
    Row("unknown criteria in a transaction", "POST", "", bundle(entry("POST", "Patient", OK, ifNoneExist="dog=1")), 400, "not-supported", "Bundle.entry[0].request.ifNoneExist"),
    Row("NUL in criteria of a transaction", "POST", "", bundle(entry("POST", "Patient", OK, ifNoneExist="name=%00")), 400, "invalid", "U+0000"),
    Row("an update by unknown criteria", "POST", "", bundle(entry("PUT", "Patient?dog=1", OK)), 400, "not-supported", "Bundle.entry[0].request.url"),
    Row("two updates by the same criteria", "POST", "", bundle(*[entry("PUT", "Patient?identifier=a|nobody", OK)] * 2), 400, "invalid", "Bundle.entry[1].request"),
    Row("two entries of one fullUrl", "POST", "", bundle(*[entry("POST", "Patient", OK, f"{URN}1")] * 2), 422, "duplicate", "Bundle.entry[1].fullUrl"),
    Row("a bad search in a transaction", "POST", "", bundle(entry("POST", "Patient", OK), entry("GET", "Patient?_sort=dog")), 400, "value", "Bundle.entry[1].request.url"),
    Row("NUL in a search of a transaction", "POST", "", bundle(entry("POST", "Patient", OK), entry("GET", "Patient?name=%00")), 400, "invalid", "U+0000"),
    Row("an address elsewhere in a transaction", "POST", "", bundle(entry("GET", "http://elsewhere/fhir/Patient/1")), 400, "invalid", "Bundle.entry[0].request.url"),
    Row("a bad ifModifiedSince", "POST", "", bundle(entry("GET", "Patient/p", ifModifiedSince="soon")), 422, "value", "Bundle.entry[0].request.ifModifiedSince"),
    Row("a reference by unknown criteria", "POST", "", bundle(entry("POST", "Observation", observation("Patient?dog=1"))), 400, "not-supported", "Bundle.entry[0].resource.subject.reference"),
    Row("a reference by no criteria", "POST", "", bundle(entry("POST", "Observation", observation("Patient?"))), 422, "value", "Bundle.entry[0].resource.subject.reference"),
    Row("a reference to an unknown type", "POST", "", bundle(entry("POST", "Observation", observation("Dog?name=x"))), 422, "value", "Bundle.entry[0].resource.subject.reference"),
    Row("several bad entries", "POST", "", bundle(entry("POST", "Patient", OK), entry("FETCH", "x"), entry("POST", "Patient", OK | {"x": 1})), 400, "invalid", "Bundle.entry[2].resource.x"),
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
async def test_bad_input_is_refused_with_place_and_reason(row: Row, client, create, rows, definitions: Definitions):
    here = (await create(patient())).json()["id"]
    before = await rows()

    async def chunks() -> AsyncIterator[bytes]:
        for chunk in row.body:
            yield chunk

    content = chunks() if isinstance(row.body, list) else row.body
    answer = await client.request(row.method, row.url.format(here=here), content=content, headers=row.headers)
    outcome = answer.json()
    assert (answer.status_code, outcome["issue"][0]["code"]) == (row.status, row.code), outcome
    assert answer.headers["content-type"].startswith("application/fhir+json")
    assert Validator(definitions).validate(outcome, "OperationOutcome") == []
    assert outcome["issue"][0]["severity"] in ("error", "fatal")
    told = json.dumps([[issue["diagnostics"], issue.get("expression")] for issue in outcome["issue"]])
    assert row.says in told
    assert len(told) < 2000
    assert await rows() == before


async def test_what_is_ignored_or_empty_is_no_error(client):
    id = unique()
    for url in ("Patient?name=", "Patient?&&", "Patient?_elements=dog", "Patient?dog=1", f"Patient?_id={id}&_sort="):
        assert (await client.get(url)).status_code == 200, url
    for body in (b'\xef\xbb\xbf{"resourceType":"Patient"}', b' {"resourceType" : "Patient"} \n'):
        assert (await client.post("Patient", content=body)).status_code == 201
    assert (await client.post("Patient/_search")).status_code == 200
    for kind in ("batch", "transaction"):
        answer = await client.post("", json={"resourceType": "Bundle", "type": kind})
        assert answer.json() == {"resourceType": "Bundle", "type": f"{kind}-response"}


async def test_the_limit_of_a_body_is_the_setting(timed):
    def body(size: int) -> bytes:
        return NO_ID.ljust(size)

    assert (await timed.post("Patient", content=body(100_000))).status_code == 201
    assert (await timed.post("Patient", content=body(100_001))).status_code == 413
    packed = {"Content-Encoding": "gzip"}
    assert (await timed.post("Patient", content=gzip.compress(body(100_000)), headers=packed)).status_code == 201
    assert (await timed.post("Patient", content=gzip.compress(body(100_001)), headers=packed)).status_code == 413
