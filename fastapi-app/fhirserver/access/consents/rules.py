"""A Consent → the rules that it consists of.

A rule says for which accesses (who, for what, when) to which data it is, and permits or denies them; the rules within
it are its exceptions. `Consent.policyRule` is the outermost rule: OPTOUT denies, anything else permits what the scopes
of a caller allow.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, TypeVar

from fhirserver.access.memberships import WITH_MEMBERS
from fhirserver.fhir.datatypes.dates import date_interval
from fhirserver.fhir.datatypes.references import parse_reference
from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.placement import patient_of
from fhirserver.fhir.resource_json import parse, serialize

ACTIONS = "http://terminology.hl7.org/CodeSystem/consentaction"
PURPOSES = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
MOST_RULES = 200
"""A Consent with more rules denies everything: nobody's search is to become slow by it."""

_SCOPES = "http://terminology.hl7.org/CodeSystem/consentscope"
_NOT_ABOUT_DATA = frozenset({"adr", "treatment"})
_RESEARCH = frozenset({"HRESCH"})
_OPT_OUT = frozenset({"OPTOUT", "OPTOUTE"})
_CRITERIA = ("actor", "action", "securityLabel", "purpose", "class", "code", "dataPeriod", "data")
_PEOPLE = frozenset({"Patient", "Practitioner", "RelatedPerson", "Person"})
_LONGEST = 64 * 1024
FOREVER = float("-inf"), float("inf")

T = TypeVar("T")
Code = tuple[str, str]
"""System, or `""`, and code."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. What is empty is no criterion; of the others all have to be met, each by one of its items.

    `period` are seconds, `actors` references, `actions` and `purposes` codes, `dates` the first and the last date of
    the data, `data` are meaning, type and id. `is_unclear`: a criterion is not understood, and left out: then the rule
    denies all that it may be about, and permits nothing.
    """

    denies: bool
    rules: tuple["Rule", ...] = ()
    period: tuple[float, float] = FOREVER
    actors: frozenset[str] = frozenset()
    actions: frozenset[str] = frozenset()
    purposes: frozenset[str] = frozenset()
    labels: frozenset[Code] = frozenset()
    classes: frozenset[Code] = frozenset()
    codes: frozenset[Code] = frozenset()
    dates: tuple[str, str] = ("", "")
    data: frozenset[tuple[str, str, str]] = frozenset()
    is_unclear: bool = False

    @property
    def may_deny(self) -> bool:
        """Whether there is an access that it denies."""
        return self.denies or any(rule.may_deny for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Denial:
    """What a Consent denies: in the record of a patient."""

    patient: str
    rule: Rule


def denial_of(definitions: Definitions, consent: Mapping[str, Any], base_url: str, zone: tzinfo) -> bytes | None:
    """What has to be kept of a Consent so that it is carried out (`read_denial`); None if it denies nothing here.

    It is active, about data, and about a patient of this server. References below `base_url` are to this server.
    """
    patient = patient_of(definitions, "Consent", dict(consent), base_url)
    if patient is None or consent.get("status") != "active":
        return None
    scopes = {code for system, code in _codes(consent.get("scope")) if system == _SCOPES}
    if scopes and scopes <= _NOT_ABOUT_DATA:
        return None
    kept = {
        "patient": patient,
        "base": base_url,
        "research": scopes == {"research"},
        "policyRule": consent.get("policyRule"),
        "provision": consent.get("provision"),
    }
    content = serialize({name: value for name, value in kept.items() if value})
    if len(content) > _LONGEST or _rules_in(consent.get("provision")) > MOST_RULES:
        return serialize({"patient": patient, "everything": True})
    return content if read_denial(content, zone).rule.may_deny else None


def read_denial(content: bytes, zone: tzinfo) -> Denial:
    """What was kept of a Consent. Dates without a time zone are in `zone`."""
    kept = parse(content)
    if kept.get("everything"):
        return Denial(kept["patient"], Rule(denies=True))
    opted_out = any(code in _OPT_OUT for _, code in _codes(kept.get("policyRule")))
    provision = kept.get("provision")
    rules = (_rule(provision, opted_out, kept["base"], zone),) if isinstance(provision, dict) else ()
    purposes = _RESEARCH if kept.get("research") else frozenset[str]()
    return Denial(kept["patient"], Rule(opted_out, rules, purposes=purposes))


def refusal_of_all(content: bytes) -> Denial:
    """What a Consent is taken for that was kept but can't be understood."""
    return Denial(parse(content)["patient"], Rule(denies=True))


def _rules_in(provision: Any) -> int:
    found, left = 0, [provision]
    while left:
        rule = left.pop()
        if isinstance(rule, dict):
            found += 1
            nested = rule.get("provision")
            left += nested if isinstance(nested, list) else []
    return found


def _rule(provision: Mapping[str, Any], outer_denies: bool, base_url: str, zone: tzinfo) -> Rule:
    """The rule of a provision.

    Without a type it is the exception that it is called: the opposite of what it is within. Only where it has no
    criteria but a period it says when the outer one is in force.
    """
    has_criteria = any(provision.get(name) for name in _CRITERIA)
    denies = outer_denies != has_criteria
    if provision.get("type") in ("deny", "permit"):
        denies = provision["type"] == "deny"
    unclear: list[Any] = []

    def understood(items: Iterable[Any], read: Callable[[Any], T | None]) -> frozenset[T]:
        found = [read(item) for item in items]
        if None in found:
            unclear.append(found)
            return frozenset()
        return frozenset(item for item in found if item is not None)

    def period(value: Any) -> tuple[float, float]:
        start, end = _dates(value)
        try:
            first = date_interval(start, zone)[0] if start else FOREVER[0]
            return first, date_interval(end, zone)[1] if end else FOREVER[1]
        except (ValueError, OverflowError):
            unclear.append(value)
            return FOREVER

    return Rule(
        denies,
        tuple(_rule(inner, denies, base_url, zone) for inner in _items(provision, "provision")),
        period(provision.get("period")),
        understood(_items(provision, "actor"), lambda actor: _actor(actor.get("reference"), base_url)),
        understood(_each_code(_items(provision, "action")), lambda code: code[1] if code[0] == ACTIONS else None),
        understood(_codings(provision.get("purpose")), lambda code: code[1] if code[0] == PURPOSES else None),
        frozenset(_codings(provision.get("securityLabel"))),
        frozenset(_codings(provision.get("class"))),
        understood(_each_code(_items(provision, "code")), lambda code: code if code[1] else None),
        _dates(provision.get("dataPeriod")),
        understood(_items(provision, "data"), lambda data: _data(data, base_url)),
        bool(unclear),
    )


def _items(value: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    items = value.get(name)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _codings(value: Any) -> list[Code]:
    codings = value if isinstance(value, list) else []
    return [
        (str(coding.get("system", "")), str(coding.get("code", ""))) for coding in codings if isinstance(coding, dict)
    ]


def _codes(concept: Any) -> list[Code]:
    """The codes of a CodeableConcept."""
    return _codings(concept.get("coding")) if isinstance(concept, dict) else []


def _each_code(concepts: Iterable[Any]) -> list[Code]:
    """The codes of these CodeableConcepts; of one that has a text only, a code that nobody understands."""
    return [code for concept in concepts for code in (_codes(concept) or [("", "")])]


def _dates(period: Any) -> tuple[str, str]:
    if not isinstance(period, dict):
        return "", ""
    return str(period.get("start", "")), str(period.get("end", ""))


def _target(reference: Any, base_url: str) -> str | None:
    """`Type/id`, or the URL of what is elsewhere."""
    text = reference.get("reference") if isinstance(reference, dict) else None
    found = parse_reference(text, base_url) if isinstance(text, str) else None
    if found is None or found.kind not in ("local", "absolute"):
        return None
    return f"{found.resource_type}/{found.id}" if found.kind == "local" else found.url


def _actor(reference: Any, base_url: str) -> str | None:
    """The target if it is a person, or what people belong to."""
    target = _target(reference, base_url)
    is_one = target is not None and ("://" in target or target.partition("/")[0] in _PEOPLE | WITH_MEMBERS)
    return target if is_one else None


def type_of(actor: str) -> str:
    """The type of an actor of this server."""
    return actor.partition("/")[0]


def _data(data: Mapping[str, Any], base_url: str) -> tuple[str, str, str] | None:
    target = _target(data.get("reference"), base_url)
    if target is None or "://" in target or not isinstance(data.get("meaning"), str):
        return None
    resource_type, _, id = target.partition("/")
    return data["meaning"], resource_type, id
