"""What kind of event each interaction is: `AuditEvent.type`, `subtype` and `action`, and the roles of its agents.

The shapes are those of IHE's Basic Audit Log Patterns: https://profiles.ihe.net/ITI/BALP/content.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from fhirserver.audit.codes import DCM, PARTICIPATION, Code

Action = Literal["C", "R", "U", "D", "E"]

_REST = Code("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest")
_INTERACTION = "http://hl7.org/fhir/restful-interaction"
_OWN = "urn:fhirserver:interaction"
_HUMAN = Code("http://terminology.hl7.org/CodeSystem/extra-security-role-type", "humanuser")
_SOURCE, _DESTINATION, _APPLICATION = Code(DCM, "110153"), Code(DCM, "110152"), Code(DCM, "110150")
_CUSTODIAN = Code("http://terminology.hl7.org/CodeSystem/provenance-participant-type", "custodian")
_RECIPIENT, _AUTHOR = Code(PARTICIPATION, "IRCP"), Code(PARTICIPATION, "AUT")
_AUTHENTICATION, _ALERT = Code(DCM, "110114"), Code(DCM, "110113")
_LOGIN, _LOGOUT, _ATTRIBUTES = Code(DCM, "110122"), Code(DCM, "110123"), Code(DCM, "110137")
_EXPORT = Code(DCM, "110106")


@dataclass(frozen=True, slots=True)
class Kind:
    """Of an event. `client`, `server`, `user` are the roles of its agents; `queries`: it asks by parameters."""

    type: Code
    subtypes: tuple[Code, ...]
    action: Action
    client: Code
    server: Code
    user: Code
    queries: bool = False


def _read(subtype: str, action: Action = "R") -> Kind:
    return Kind(_REST, (Code(_INTERACTION, subtype),), action, _DESTINATION, _SOURCE, _RECIPIENT)


def _write(subtype: str, action: Action) -> Kind:
    return Kind(_REST, (Code(_INTERACTION, subtype),), action, _SOURCE, _DESTINATION, _AUTHOR)


def _query(subtype: str) -> Kind:
    return Kind(_REST, (Code(_INTERACTION, subtype),), "E", _SOURCE, _DESTINATION, _RECIPIENT, queries=True)


def _account(name: str, type: Code, subtypes: tuple[Code, ...], action: Action) -> Kind:
    return Kind(type, (*subtypes, Code(_OWN, name)), action, _APPLICATION, _DESTINATION, _HUMAN)


_DELETE = Kind(_REST, (Code(_INTERACTION, "delete"),), "D", _APPLICATION, _CUSTODIAN, _AUTHOR)
SIGNING: Mapping[str, tuple[Code, ...]] = {
    "login": (_LOGIN,),
    "logout": (_LOGOUT,),
    "authorize": (_LOGIN,),
    "refresh": (),
    "token": (),
    "revoke": (),
    "introspect": (),
    "launch": (),
    "identify": (),
}
_ADMINISTRATION: Mapping[str, Action] = {
    "register": "C",
    "invite": "C",
    "users": "R",
    "change-user": "U",
    "reset-password": "U",
    "password": "U",
    "roles": "R",
    "save-role": "U",
    "remove-role": "D",
    "api-keys": "R",
    "create-api-key": "C",
    "revoke-api-key": "D",
    "clients": "R",
    "client": "R",
    "register-client": "C",
    "change-client": "U",
    "reset-secret": "U",
    "apps": "R",
    "withdraw": "D",
}

KINDS: Mapping[str, Kind] = {
    "read": _read("read"),
    "vread": _read("vread"),
    "history-instance": _read("history-instance"),
    "history-type": _query("history-type"),
    "history-system": _query("history-system"),
    "search-type": _query("search"),
    "search-compartment": _query("search"),
    "search-system": _query("search"),
    "create": _write("create", "C"),
    "update": _write("update", "U"),
    "conditional-update": _write("update", "U"),
    "patch": _write("patch", "U"),
    "conditional-patch": _write("patch", "U"),
    "delete": _DELETE,
    "conditional-delete": _DELETE,
    "transaction": _write("transaction", "E"),
    "bundle": _write("batch", "E"),
    "operation": Kind(_REST, (Code(_INTERACTION, "operation"),), "E", _SOURCE, _DESTINATION, _RECIPIENT, queries=True),
    "export": Kind(_EXPORT, (Code(_INTERACTION, "operation"),), "R", _DESTINATION, _SOURCE, _RECIPIENT, queries=True),
    "jobs": _account("jobs", _REST, (Code(_INTERACTION, "operation"),), "R"),
    "job": _account("job", _REST, (Code(_INTERACTION, "operation"),), "R"),
    "cancel-job": _account("cancel-job", _REST, (Code(_INTERACTION, "operation"),), "D"),
    "unknown": _account("unknown", _REST, (), "E"),
    **{name: _account(name, _AUTHENTICATION, subtypes, "E") for name, subtypes in SIGNING.items()},
    **{
        name: _account(name, _ALERT, () if action == "R" else (_ATTRIBUTES,), action)
        for name, action in _ADMINISTRATION.items()
    },
}
"""By the name that the interaction has in logs and metrics."""
