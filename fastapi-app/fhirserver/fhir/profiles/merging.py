"""One element of a differential applied to the element of the base.

https://hl7.org/fhir/R4/elementdefinition.html and profiling.html#limitations
"""

from collections.abc import Sequence
from typing import Any

from fhirserver.fhir.outcomes import Issue
from fhirserver.fhir.profiles.element_tree import Json

_TEXTS = frozenset({"definition", "comment", "requirements"})
_LISTS = frozenset({"alias", "code", "condition", "example", "mapping"})
_NEVER = frozenset({"id", "path", "base", "contentReference"})
_ABSTRACT = frozenset({"Resource", "DomainResource", "Element", "BackboneElement"})
_SYSTEM = "http://hl7.org/fhirpath/System."


def merged(base: Json, change: Json, place: str, issues: list[Issue]) -> Json:
    """The definition of an element with the changes of a differential.

    Adds an issue, with `place` in front of its own, for each change that allows more than the base does.
    """
    result = dict(base)
    for name, value in change.items():
        if name in _NEVER:
            continue
        if name in _TEXTS and isinstance(value, str) and value.startswith("..."):
            result[name] = f"{base.get(name, '')}\n{value[3:]}"
        elif name in _LISTS and isinstance(value, list):
            result[name] = [*base.get(name, ()), *(item for item in value if item not in base.get(name, ()))]
        elif name == "constraint" and isinstance(value, list):
            result[name] = _constraints(base.get(name, ()), value)
        elif name in ("slicing", "binding") and isinstance(value, dict):
            result[name] = {**base.get(name, {}), **value}
        else:
            result[name] = value
    for element, code, diagnostics in _problems(base, change):
        issues.append(Issue("error", code, diagnostics, (f"{place}.{element}",)))
    return result


def narrowed(element: Json, type_code: str) -> Json:
    """A choice element that has one type only."""
    return element | {"type": [type_ for type_ in element.get("type", ()) if type_.get("code") == type_code]}


def _constraints(inherited: Sequence[Json], own: Sequence[Json]) -> list[Json]:
    """All constraints; one with the key of an inherited one stands in its place."""
    by_key = {item.get("key"): item for item in own}
    kept = [by_key.pop(item.get("key"), item) for item in inherited]
    return [*kept, *by_key.values()]


def _problems(base: Json, change: Json) -> list[tuple[str, str, str]]:
    """What the change allows beyond the base: the element that does it, the code of the issue, and what is wrong."""
    found = []
    low, high = change.get("min"), _number(change.get("max"))
    if isinstance(low, int) and low < base.get("min", 0):
        found.append(("min", "invalid", f"min is {low}, and {base.get('min')} in the base"))
    base_high = _number(base.get("max"))
    if high is not None and base_high is not None and high > base_high:
        found.append(("max", "invalid", f"max is {change.get('max')}, and {base.get('max')} in the base"))
    allowed = {str(type_.get("code")) for type_ in base.get("type", ())}
    for index, type_ in enumerate(change.get("type", ())):
        code = type_.get("code")
        if allowed and code not in allowed and not any(_is_general(other) for other in allowed):
            found.append((f"type[{index}]", "invalid", f"the base does not allow the type {str(code)[:100]}"))
    return found


def _number(max: Any) -> float | None:
    if max == "*":
        return float("inf")
    return int(max) if isinstance(max, str) and max.isdigit() else None


def _is_general(code: str) -> bool:
    """Whether other types are of this one. What R4 gives a type of FHIRPath, profiles call by that of FHIR."""
    return code in _ABSTRACT or code.startswith(_SYSTEM)
