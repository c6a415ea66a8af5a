"""An event as the JSON text of an AuditEvent. Put together of texts that are made once, as one is written per request.

https://hl7.org/fhir/R4/auditevent.html
"""

from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from fhirserver.audit import codes
from fhirserver.audit.codes import Code
from fhirserver.audit.facts import Facts, Who
from fhirserver.audit.kinds import KINDS, Kind
from fhirserver.fhir.resource_json import serialize

_IP_ADDRESS, _URI = "2", "5"
_TAG = serialize([codes.RECORDED.coding()])


def outcome_of(status: int) -> str:
    """`AuditEvent.outcome`: 0 success, 4 what the caller can mend, 8 what the server failed at."""
    return "0" if status < 400 else "4" if status < 500 else "8"


def moment_of(recorded: datetime) -> str:
    """The instant as it stands in an event: in UTC, to the millisecond."""
    return f"{recorded.isoformat('T', 'milliseconds')[:23]}Z"


def content_of(facts: Facts, who: Who, request_id: str, observer: str, id: str, moment: str) -> bytes:
    """The text of the AuditEvent. `observer` is how this server is called: the base of its URLs."""
    before, after = _frame(facts.kind, facts.status, who, observer)
    head = f'{{"resourceType":"AuditEvent","id":"{id}","meta":{{"versionId":"1","lastUpdated":"{moment}","tag":'
    recorded = f',"recorded":"{moment}",'.encode()
    entities = b",".join(_entities(facts, request_id))
    return b"".join((head.encode(), before, recorded, after, entities, b"]}"))


def described(kind: str, status: int) -> dict[str, Any]:
    """The elements that tell the kind of event and its outcome."""
    known = KINDS[kind]
    elements: dict[str, Any] = {"type": known.type.coding()}
    if known.subtypes:
        elements["subtype"] = [subtype.coding() for subtype in known.subtypes]
    return elements | {"action": known.action, "outcome": outcome_of(status)}


def agents(kind: str, who: Who, observer: str) -> list[dict[str, Any]]:
    """`AuditEvent.agent`: the client, this server, and the user if there is one."""
    known, is_user = KINDS[kind], who.kind == "user"
    client = {
        "type": known.client.concept(),
        "who": {"identifier": {"value": _client(who)}},
        "requestor": not is_user,
        "network": {"address": who.address, "type": _IP_ADDRESS},
    }
    server = {
        "type": known.server.concept(),
        "who": {"identifier": {"value": observer}},
        "requestor": False,
        "network": {"address": observer, "type": _URI},
    }
    if who.kind is None:
        return [client, server]
    return [client, server, _user(known, who)] if is_user else [client | {"name": who.name} | _policy(who), server]


def source(observer: str) -> dict[str, Any]:
    """`AuditEvent.source`: this server."""
    return {"observer": {"identifier": {"value": observer}}, "type": [codes.APPLICATION_SERVER.coding()]}


def _client(who: Who) -> str:
    if who.kind is None:
        return "unknown"
    return who.credential or who.id if who.kind == "user" else who.id


def _user(kind: Kind, who: Who) -> dict[str, Any]:
    user: dict[str, Any] = {"type": kind.user.concept()}
    if who.roles:
        user["role"] = [Code("urn:fhirserver:role", role).concept() for role in who.roles]
    reference = {"reference": who.fhir_user} if who.fhir_user else {}
    user |= {"who": reference | {"identifier": {"value": who.id}}, "name": who.name, "requestor": True}
    return user | _policy(who) | ({"purposeOfUse": _purposes(who)} if who.purpose_of_use else {})


def _policy(who: Who) -> dict[str, Any]:
    return {"policy": [f"urn:fhirserver:{who.credential}"]} if who.credential else {}


def _purposes(who: Who) -> list[dict[str, Any]]:
    reason = {"text": who.reason} if who.reason else {}
    return [Code(codes.REASON, str(who.purpose_of_use)).concept() | reason]


@lru_cache(maxsize=4096)
def _frame(kind: str, status: int, who: Who, observer: str) -> tuple[bytes, bytes]:
    """What events of a kind, an outcome and a caller have in common: before the instant, and between it and what
    entities there are."""
    elements = {name: value for name, value in described(kind, status).items() if name != "outcome"}
    before = _TAG + b"}," + serialize(elements)[1:-1]
    purposes = {"purposeOfEvent": _purposes(who)} if who.purpose_of_use else {}
    after = _outcome(status) | purposes | {"agent": agents(kind, who, observer), "source": source(observer)}
    return before, serialize(after)[1:-1] + b',"entity":['


def _outcome(status: int) -> dict[str, Any]:
    if status < 400:
        return {"outcome": "0"}
    try:
        reason = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        reason = str(status)
    return {"outcome": outcome_of(status), "outcomeDesc": reason}


def _coded(*, type: Code, role: Code | None = None) -> bytes:
    coded = {"type": type.coding()} | ({"role": role.coding()} if role is not None else {})
    return b"," + serialize(coded)[1:-1]


_REQUEST = _coded(type=codes.REQUEST_ID)
_DATA = _coded(type=codes.SYSTEM_OBJECT, role=codes.DOMAIN_RESOURCE)
_PATIENT = _coded(type=codes.PERSON, role=codes.PATIENT)
_ABOUT = _coded(type=codes.SYSTEM_OBJECT, role=codes.SECURITY_RESOURCE)
_QUERY = _coded(type=codes.SYSTEM_OBJECT, role=codes.QUERY)[1:]
_LIFECYCLES: dict[str | None, bytes] = {None: b""} | {
    change: b',"lifecycle":' + serialize(Code(codes.LIFECYCLE, code).coding())
    for change, code in {"create": "1", "update": "3", "delete": "14"}.items()
}


def _entities(facts: Facts, request_id: str) -> Iterator[bytes]:
    yield b'{"what":{"identifier":{"value":%b}}%b}' % (serialize(request_id), _REQUEST)
    for touched in facts.touched:
        yield b'{"what":{"reference":"%b"}%b%b}' % (str(touched).encode(), _DATA, _LIFECYCLES[touched.change])
    for patient in facts.patients:
        yield b'{"what":{"reference":"Patient/%b"}%b}' % (patient.encode(), _PATIENT)
    if facts.query is not None:
        yield b'{%b,"query":"%b"}' % (_QUERY, b64encode(facts.query.encode("utf-8", "replace")))
    if facts.about is not None:
        yield b'{"what":{"identifier":{"value":%b}}%b}' % (serialize(facts.about), _ABOUT)
