"""Parts of resources: `_summary` and `_elements`.

https://hl7.org/fhir/R4/search.html#summary and #elements
"""

from collections.abc import Collection
from typing import Any

from fhirserver.fhir.definitions import Definitions

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
_ALWAYS = frozenset({"resourceType", "id", "meta"})


def summarised(resource: dict[str, Any], definitions: Definitions) -> dict[str, Any]:
    """`_summary=true`: the elements that R4 marks as summary, and those that have to be there."""
    return _tagged(_summary(resource, resource["resourceType"], definitions))


def text_only(resource: dict[str, Any], definitions: Definitions) -> dict[str, Any]:
    """`_summary=text`: text, id, meta, and the elements that have to be there."""
    return selected(resource, ("text",), definitions)


def without_text(resource: dict[str, Any]) -> dict[str, Any]:
    """`_summary=data`: everything but the narrative."""
    return _tagged({name: value for name, value in resource.items() if name not in ("text", "_text")})


def selected(resource: dict[str, Any], elements: Collection[str], definitions: Definitions) -> dict[str, Any]:
    """`_elements`: the named elements of the resource, and those that have to be there."""
    wanted = {name.removeprefix(f"{resource['resourceType']}.").partition(".")[0] for name in elements}
    properties = definitions.type(resource["resourceType"]).properties

    def is_kept(name: str) -> bool:
        known = properties.get(name.removeprefix("_"))
        return name in _ALWAYS or (known is not None and (known.element.name in wanted or known.element.min > 0))

    return _tagged({name: value for name, value in resource.items() if is_kept(name)})


def _summary(value: dict[str, Any], type_name: str, definitions: Definitions) -> dict[str, Any]:
    definition = definitions.type(type_name)
    kept: dict[str, Any] = {}
    for name, child in value.items():
        known = definition.properties.get(name.removeprefix("_"))
        if name in _ALWAYS and definition.kind == "resource":
            kept[name] = child
        elif known is not None and (known.element.is_summary or known.element.min > 0):
            inner = "." in known.type_code and not name.startswith("_")
            kept[name] = _within(child, known.type_code, definitions) if inner else child
    return kept


def _within(value: Any, type_name: str, definitions: Definitions) -> Any:
    if isinstance(value, list):
        return [_within(item, type_name, definitions) for item in value]
    return _summary(value, type_name, definitions) if isinstance(value, dict) else value


def _tagged(resource: dict[str, Any]) -> dict[str, Any]:
    """The resource with the tag that says that it is not whole."""
    meta = resource.get("meta", {})
    return {**resource, "meta": {**meta, "tag": [*meta.get("tag", ()), SUBSETTED]}}
