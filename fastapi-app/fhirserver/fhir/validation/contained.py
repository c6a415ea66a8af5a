"""Contained resources: their ids, what they may not have, and the references (`#id`) that lead to them.

https://hl7.org/fhir/R4/references.html#contained, and the invariants dom-2 to dom-5 and ref-1
"""

from collections.abc import Mapping
from typing import Any

from fhirserver.fhir.validation.references import check_target
from fhirserver.fhir.validation.report import Place, Report, shown


def check_contained(resource: dict[str, Any], place: Place, report: Report) -> dict[str, str]:
    """Check the contained resources of a resource by themselves. The types of all by id, of the container by `""`."""
    types: dict[str, str] = {"": resource["resourceType"]}
    for index, item in _items(resource):
        _check_item(item, (place, "contained", index), types, report)
    return types


def check_fragments(resource: dict[str, Any], types: Mapping[str, str], place: Place, report: Report) -> None:
    """Check the references to contained resources that `report.fragments` has: they lead to one, and to each is one.

    `types` is what `check_contained` gives.
    """
    for fragment in report.fragments:
        target = types.get(fragment.id)
        if target is not None:
            check_target(target, fragment.allowed, fragment.place, report)
        elif fragment.has_to_exist:
            report.add("not-found", f"There is no contained resource {shown(fragment.id)} (ref-1)", fragment.place)
    used = {fragment.id for fragment in report.fragments}
    users = {_item_of(fragment.place, place) for fragment in report.fragments if not fragment.id}
    for index, item in _items(resource):
        id = item.get("id")
        if type(id) is str and id not in used and index not in users:
            problem = f"Nothing refers to the contained resource {shown(id)}, nor does it to its container (dom-3)"
            report.add("invariant", problem, (place, "contained", index))


def _items(resource: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    items = resource.get("contained")
    return [item for item in enumerate(items) if type(item[1]) is dict] if type(items) is list else []


def _check_item(item: dict[str, Any], place: Place, types: dict[str, str], report: Report) -> None:
    id, meta = item.get("id"), item.get("meta")
    if id is None:
        report.add("required", "A contained resource must have an id", place)
    elif type(id) is str:
        if id in types:
            report.add("duplicate", f"There is another contained resource with the id {shown(id)}", (place, "id", None))
        types.setdefault(id, str(item.get("resourceType")))
    if "contained" in item:
        report.add("invariant", "A contained resource must not contain resources (dom-2)", place)
    if type(meta) is dict:
        for name, key in (("versionId", "dom-4"), ("lastUpdated", "dom-4"), ("security", "dom-5")):
            if name in meta:
                problem = f"A contained resource must not have meta.{name} ({key})"
                report.add("invariant", problem, ((place, "meta", None), name, None))


def _item_of(at: "Place | None", container: Place) -> int | None:
    """The index of the contained resource that a place is in; None if it is in the container itself."""
    while at is not None:
        if at[0] is container and at[1] == "contained":
            return at[2]
        at = at[0]
    return None
