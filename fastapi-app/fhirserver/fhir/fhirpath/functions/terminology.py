"""memberOf, subsumes and subsumedBy, by the Terminology of the environment.

https://hl7.org/fhir/R4/fhirpath.html#functions
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fhirserver.fhir.fhirpath import nodes, selection
from fhirserver.fhir.fhirpath.environment import Environment, Terminology
from fhirserver.fhir.fhirpath.invocation import Function, Invocation
from fhirserver.fhir.fhirpath.selection import One, Selection, computed


def _member_of(call: Invocation) -> Selection:
    get, value_set = selection.value(call.source, call.system, call.place), call.text(call.argument(0))

    def member_of(item: Any, env: Environment) -> Any:
        codings, url = _codings(get(item, env)), value_set(item, env)
        return None if not codings or url is None else _terminology(call, env).member_of(codings, url)

    return computed(nodes.BOOLEAN, member_of)


def _subsumes(call: Invocation) -> Selection:
    source = selection.value(call.source, call.system, call.place)
    return computed(nodes.BOOLEAN, _subsumption(call, source, call.value(0)))


def _subsumed_by(call: Invocation) -> Selection:
    source = selection.value(call.source, call.system, call.place)
    return computed(nodes.BOOLEAN, _subsumption(call, call.value(0), source))


def _subsumption(call: Invocation, general: One, special: One) -> One:
    def subsumes(item: Any, env: Environment) -> Any:
        """Whether any coding of the one subsumes any of the other; open if that is open for one and true for none."""
        pairs = [(one, other) for one in _codings(general(item, env)) for other in _codings(special(item, env))]
        if not pairs:
            return None
        answers = [_terminology(call, env).subsumes(*pair) for pair in pairs]
        return True if True in answers else None if None in answers else False

    return subsumes


def _codings(value: Any) -> Sequence[Mapping[str, Any]]:
    """Those of a CodeableConcept, a Coding, a Quantity's unit or a code."""
    if value.__class__ is str:
        return [{"code": value}]
    if value.__class__ is not dict:
        return []
    coding = value.get("coding")
    if coding.__class__ is list:
        return [one for one in coding if one.__class__ is dict and "code" in one]
    return [value] if "code" in value else []


def _terminology(call: Invocation, env: Environment) -> Terminology:
    if env.terminology is None:
        raise call.error(f"{call.name}(): there is no terminology")
    return env.terminology


FUNCTIONS = {
    "memberOf": Function(_member_of, 1, 1),
    "subsumes": Function(_subsumes, 1, 1),
    "subsumedBy": Function(_subsumed_by, 1, 1),
}
