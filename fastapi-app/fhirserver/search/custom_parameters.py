"""SearchParameter resources → search parameters: what can be posted, and why something can't.

https://hl7.org/fhir/R4/searchparameter.html
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from fhirserver.fhir.definitions import Component, Definitions, SearchParameter
from fhirserver.fhir.fhirpath import FhirPathError
from fhirserver.fhir.outcomes import Issue
from fhirserver.search.extract import branches_of
from fhirserver.search.keys import ParameterKeys
from fhirserver.search.parameter_types import PARAMETER_TYPES
from fhirserver.search.types import composite
from fhirserver.search.types.clause import Source

Json = dict[str, Any]

_MAX_ISSUES = 10
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_FIRST_NAME = re.compile(r"\(*\s*([A-Za-z]+)")
_MODIFIERS = {"type": "[type]", "ofType": "of-type"}
_COMPARED = ("date", "number", "quantity", "composite")
_INDEXED_BY = ("url", "code", "type", "base", "derivedFrom", "expression", "component")
_KEPT = (*_INDEXED_BY, "target", "modifier", "comparator", "description")


def registration(resource: Json) -> Json | None:
    """What there is to know of an active SearchParameter; None of one that is a draft, or retired, or has no URL."""
    if resource.get("status") != "active" or not isinstance(resource.get("url"), str):
        return None
    return {name: resource[name] for name in _KEPT if name in resource}


def is_indexed_alike(one: Json, other: Json) -> bool:
    """Whether resources that were indexed by one registration need not be indexed anew for the other."""
    return all(one.get(name) == other.get(name) for name in _INDEXED_BY)


def read_parameters(resource: Json, source: str, definitions: Definitions) -> list[SearchParameter]:
    """The search parameter, for each resource type that it is about; not for those whose own parameter in R4 it is.

    `source` is the id of the resource. Nothing is compiled here.
    """
    types = dict.fromkeys(name for base in resource["base"] for name in definitions.derived_resource_types(base))
    return [
        SearchParameter(
            code=resource["code"],
            type=resource["type"],
            base=name,
            url=resource["url"],
            expression=_own_alternatives(resource.get("expression"), name, definitions),
            target_types=tuple(resource.get("target", ())) or _all_types(resource, definitions),
            components=tuple(
                Component(item["definition"], item["expression"]) for item in resource.get("component", ())
            ),
            comparators=tuple(resource.get("comparator", ())),
            modifiers=tuple(_MODIFIERS.get(name, name) for name in resource.get("modifier", ())),
            multiple_or=None,
            multiple_and=None,
            description=resource.get("description", ""),
            source=source,
        )
        for name in types
        if not _is_r4s_own(resource, definitions.r4_search_parameters(name).get(resource["code"]))
    ]


def _all_types(resource: Json, definitions: Definitions) -> tuple[str, ...]:
    return definitions.resource_types if resource["type"] == "reference" else ()


def _is_r4s_own(resource: Json, known: SearchParameter | None) -> bool:
    """Whether this is how somebody tells that one of R4's own is used, as implementation guides do."""
    if known is None or known.type != resource["type"]:
        return False
    plain = "".join(resource.get("expression", "").split())
    return known.url in (resource["url"], resource.get("derivedFrom")) or plain == "".join(
        (known.expression or "").split()
    )


def _own_alternatives(expression: str | None, resource_type: str, definitions: Definitions) -> str | None:
    """The operands of the outermost `|` without those that begin with the name of another type."""
    if expression is None:
        return None
    others = set(definitions.resource_types) - {resource_type}
    kept = [
        part
        for part in alternatives(expression)
        if (first := _FIRST_NAME.match(part)) is None or first[1] not in others
    ]
    return " | ".join(kept) or None


def alternatives(expression: str) -> list[str]:
    """The operands of the outermost `|` operators."""
    parts, depth, quote = [""], 0, ""
    for character in expression:
        if character in "'`" and quote in ("", character):
            quote = "" if quote else character
        elif not quote:
            depth += (character == "(") - (character == ")")
            if character == "|" and depth == 0:
                parts.append("")
                continue
        parts[-1] += character
    return [part.strip() for part in parts]


def problems(resource: Json, definitions: Definitions) -> list[Issue]:
    """Why a structurally valid SearchParameter can't be searched by, each with its place; none if it can.

    `definitions` are those of the server with the parameters that it has. One that is not active is never searched by.
    """
    if resource.get("status") != "active":
        return []
    found = list(dict.fromkeys(_of_bases(resource, definitions)))
    parameters = read_parameters(resource, resource.get("id", ""), definitions)
    if parameters:
        found += _of_elements(resource, definitions)
    if not found:
        for parameter in parameters:
            found += _of_parameter(parameter, definitions)
            if len(found) >= _MAX_ISSUES:
                break
    return found[:_MAX_ISSUES]


def _of_bases(resource: Json, definitions: Definitions) -> Iterator[Issue]:
    for place, base in enumerate(resource["base"]):
        types = definitions.derived_resource_types(base)
        if not types:
            yield _issue(f"R4 has no resource type '{base[:80]}'", f"base[{place}]", "value")
        for name in types:
            yield from _of_code(resource, name, definitions)


def _of_elements(resource: Json, definitions: Definitions) -> Iterator[Issue]:
    """What is wrong whatever the type that is searched for."""
    kind = resource["type"]
    if kind == "special":
        yield _issue("what a special parameter means stands in no expression", "type", "not-supported")
    if "expression" not in resource:
        yield _issue("without an expression there is nothing to index", "expression", "required")
    for place, target in enumerate(resource.get("target", ())):
        if kind != "reference" or not definitions.derived_resource_types(target):
            yield _issue(f"a {kind} parameter does not lead to '{target[:80]}'", f"target[{place}]", "value")
    yield from _of_modifiers(resource)
    if kind == "reference":
        yield from _of_chains(resource, definitions)


def _of_code(resource: Json, resource_type: str, definitions: Definitions) -> Iterator[Issue]:
    code = resource["code"]
    r4s = definitions.r4_search_parameters(resource_type).get(code)
    if _is_r4s_own(resource, r4s):
        return
    if r4s is not None:
        yield _issue(f"R4 has a parameter '{code}' of {resource_type} itself ({r4s.url})", "code", "duplicate")
    elif not _CODE.fullmatch(code):
        problem = f"{code[:80]!r} can't be the name of a parameter: that is a letter, then letters, digits, - and _"
        yield _issue(problem, "code", "value")
    known = definitions.search_parameters(resource_type).get(code) or definitions.pending_search_parameters(
        resource_type
    ).get(code)
    if known is not None and known.source not in (None, resource.get("id")):
        problem = f"SearchParameter/{known.source} is the parameter '{code}' of {resource_type} already"
        yield _issue(problem, "code", "duplicate")


def _of_modifiers(resource: Json) -> Iterator[Issue]:
    kind = resource["type"]
    known = PARAMETER_TYPES[kind].modifiers if kind != "special" else ()
    allowed = {"missing", *known, *(("[type]",) if kind == "reference" else ())}
    for place, name in enumerate(resource.get("modifier", ())):
        if _MODIFIERS.get(name, name) not in allowed:
            yield _issue(f"a {kind} parameter has no modifier '{name}'", f"modifier[{place}]", "not-supported")
    if kind not in _COMPARED:
        for place, name in enumerate(resource.get("comparator", ())):
            yield _issue(f"a {kind} parameter has no prefix '{name}'", f"comparator[{place}]", "not-supported")


def _of_chains(resource: Json, definitions: Definitions) -> Iterator[Issue]:
    """What is chained has to be a parameter of something that the parameter leads to."""
    targets = resource.get("target") or definitions.resource_types
    types = [name for target in targets for name in definitions.derived_resource_types(target)]
    for place, chained in enumerate(resource.get("chain", ())):
        code = chained.partition(".")[0].partition(":")[0]
        if not any(code in definitions.search_parameters(name) for name in types):
            yield _issue(f"no target has a parameter '{chained[:80]}'", f"chain[{place}]", "not-found")


def _of_parameter(parameter: SearchParameter, definitions: Definitions) -> Iterator[Issue]:
    """What is wrong for one resource type."""
    name = parameter.base
    if parameter.type == "composite":
        problem = composite.problem(parameter, definitions)
        if problem is not None:
            yield _issue(problem, "component", "not-supported")
            return
    try:
        branches = branches_of(parameter, definitions) if parameter.expression else ()
        if not branches:
            yield _issue(f"the expression selects nothing of {name}", "expression", "value")
            return
        for branch in branches:  # what is never right, such as an unknown variable, shows on any resource
            branch.select({"resourceType": name, "id": "example"})
    except FhirPathError as error:
        yield _issue(f"{name}: {error}", "expression", "invalid")
        return
    keys = ParameterKeys(name, parameter.code)
    indexer = PARAMETER_TYPES[parameter.type].indexer
    if all(indexer(Source(parameter, branch, keys, definitions, UTC)) is None for branch in branches):
        types = ", ".join(dict.fromkeys(branch.type_name for branch in branches))
        problem = f"of {name} the expression selects {types}, which can't be searched for as {parameter.type}"
        yield _issue(problem, "expression", "value")


def _issue(problem: str, place: str, code: str) -> Issue:
    return Issue("error", code, problem, (f"SearchParameter.{place}",))


@dataclass(frozen=True, slots=True)
class Known:
    """R4's definitions with what was posted; and for each SearchParameter, by its id, the types that it is about."""

    definitions: Definitions
    types: Mapping[str, tuple[str, ...]]


def definitions_with(r4: Definitions, registered: Iterable[tuple[str, Json, bool]]) -> Known:
    """The definitions with registered parameters: (id, registration, whether it is ready), oldest first.

    Of two with the same code the older one counts. What was written unchecked and can't be read is left out.
    """
    found: dict[tuple[str, str], tuple[SearchParameter, bool]] = {}
    types: dict[str, tuple[str, ...]] = {}
    for source, resource, is_ready in registered:
        try:
            parameters = read_parameters(resource, source, r4)
        except (AttributeError, KeyError, TypeError):
            continue
        for parameter in parameters:
            address = parameter.base, parameter.code
            if address not in found:
                found[address] = parameter, is_ready
                types[source] = (*types.get(source, ()), parameter.base)
    ready = [parameter for parameter, is_ready in found.values() if is_ready]
    pending = [parameter for parameter, is_ready in found.values() if not is_ready]
    return Known(r4.with_search_parameters(ready, pending), types)
