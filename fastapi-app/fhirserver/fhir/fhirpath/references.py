"""What a reference leads to from inside a resource.

https://hl7.org/fhir/R4/references.html#contained and https://hl7.org/fhir/R4/bundle.html#references
"""

from typing import Any

from fhirserver.fhir.datatypes.references import parse_reference
from fhirserver.fhir.fhirpath.environment import Environment


def resolve_in(env: Environment, reference: Any) -> dict[str, Any] | None:
    """A contained resource, an entry of the bundle, or what the environment's `resolve` finds."""
    text = reference.get("reference") if reference.__class__ is dict else reference
    root = env.current_root
    if text.__class__ is str and root.__class__ is dict:
        found = _inside(text, root)
        if found is not None or text.startswith("#"):
            return found
    return None if env.resolve is None else env.resolve(reference)


def stub(reference: Any) -> dict[str, Any] | None:
    """A resource with nothing but the type, and the id, that a reference itself tells: a `resolve` without look-up."""
    text, type_name = reference, None
    if reference.__class__ is dict:
        text, type_name = reference.get("reference"), reference.get("type")
    target = parse_reference(text) if text.__class__ is str else None
    if target is not None and target.resource_type is not None:
        found = {"resourceType": target.resource_type}
        return found if target.id is None else found | {"id": target.id}
    return {"resourceType": type_name} if type_name.__class__ is str else None


def _inside(text: str, root: dict[str, Any]) -> dict[str, Any] | None:
    if text == "#":
        return root
    if text.startswith("#"):
        return next((resource for resource in _dicts(root.get("contained")) if resource.get("id") == text[1:]), None)
    if root.get("resourceType") == "Bundle":
        for entry in _dicts(root.get("entry")):
            url, resource = entry.get("fullUrl"), entry.get("resource")
            if url.__class__ is str and resource.__class__ is dict and _is_at(text, url, resource):
                return resource
    return None


def _is_at(text: str, url: str, resource: dict[str, Any]) -> bool:
    """Whether a reference is to an entry: its address, or the end of that if it says type and id."""
    return url == text or (url.endswith("/" + text) and text == f"{resource.get('resourceType')}/{resource.get('id')}")


def _dicts(values: Any) -> list[dict[str, Any]]:
    return [value for value in values if value.__class__ is dict] if values.__class__ is list else []
