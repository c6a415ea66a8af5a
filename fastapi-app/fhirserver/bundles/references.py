"""References between the entries of a transaction, and references by search criteria.

https://hl7.org/fhir/R4/bundle.html#references and https://hl7.org/fhir/R4/http.html#trules
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from fhirserver.bundles.entries import EntryRequest
from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.outcomes import InvalidRequest

_RESTFUL = re.compile(r"(https?://.+)/([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?")
_CONDITIONAL = re.compile(r"[A-Z][A-Za-z]+\?.*", re.DOTALL)
_LINK = re.compile(r"""((?:href|src)\s*=\s*)(?:"([^"]*)"|'([^']*)')""")
_URI_TYPES = frozenset({"uri", "url", "canonical", "oid", "uuid"})


class Identities:
    """What the entries of one Bundle are called in it, and what they are called on the server."""

    def __init__(self) -> None:
        self._absolute: dict[str, str] = {}
        self._relative: dict[str, dict[str, str]] = {}

    def add(self, entry: EntryRequest, address: str) -> None:
        """The entry is `address` (`Patient/1`) on the server. `InvalidRequest` if another has its fullUrl."""
        full_url = entry.full_url
        if full_url is None:
            return
        if self._absolute.setdefault(full_url, address) != address:
            raise InvalidRequest(
                f"two entries have the fullUrl {full_url[:200]!r}", expression=f"{entry.place}.fullUrl"
            )
        root, relative = _restful(full_url)
        if root is not None and relative is not None:
            self._relative.setdefault(root, {})[relative] = address

    def seen_from(self, full_url: str | None) -> Mapping[str, str]:
        """The names that references in this entry may use: full URLs, and `Type/id` below the entry's own root."""
        root, _ = _restful(full_url) if full_url is not None else (None, None)
        near = self._relative.get(root) if root is not None else None
        return {**near, **self._absolute} if near else self._absolute


def _restful(full_url: str) -> tuple[str | None, str | None]:
    match = _RESTFUL.fullmatch(full_url)
    return (match[1], f"{match[2]}/{match[3]}") if match else (None, None)


def conditional_references(entries: Iterable[EntryRequest]) -> dict[str, str]:
    """The references of the form `Type?criteria` in these entries, each with the place where it comes first."""
    found: dict[str, str] = {}
    for entry in entries:
        if entry.resource is not None:
            _collect(entry.resource, f"{entry.place}.resource", found)
    return found


def _collect(value: Any, place: str, found: dict[str, str]) -> None:
    if isinstance(value, dict):
        reference = value.get("reference")
        if isinstance(reference, str) and "?" in reference and _CONDITIONAL.fullmatch(reference):
            found.setdefault(reference, f"{place}.reference")
        for name, child in value.items():
            if isinstance(child, dict | list):
                _collect(child, f"{place}.{name}", found)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            if isinstance(child, dict | list):
                _collect(child, f"{place}[{index}]", found)


def rewrite(
    resource: dict[str, Any],
    names: Mapping[str, str],
    conditional: Mapping[str, str],
    definitions: Definitions,
) -> dict[str, Any]:
    """The valid resource, in which every reference, URI and narrative link to an entry leads to the stored resource.

    `names` is what `Identities.seen_from` gives, `conditional` maps `Type?criteria` to `Type/id`. Strings that are
    no URI by definition (an Identifier.value, say) stay, whatever they look like. `#fragment` and `|version` are kept.
    """
    if not names and not conditional:
        return resource

    def renamed(text: str) -> str | None:
        exact = names.get(text) or conditional.get(text)
        if exact is not None:
            return exact
        for mark in ("#", "|"):
            head, found, tail = text.partition(mark)
            if found and head in names:
                return f"{names[head]}{mark}{tail}"
        return None

    def walk(value: Any, type_name: str | None) -> Any:
        if isinstance(value, list):
            return [walk(item, type_name) for item in value]
        if isinstance(value, dict):
            return walk_object(value, value["resourceType"] if type_name == "Resource" else type_name)
        return value

    def walk_object(value: dict[str, Any], type_name: str | None) -> dict[str, Any]:
        properties = definitions.type(type_name).properties if type_name else {}
        result = {}
        for name, child in value.items():
            known = properties.get(name)
            child_type = known.type_code if known is not None else "Element" if name.startswith("_") else None
            if isinstance(child, str):
                if (name == "reference" and type_name == "Reference") or child_type in _URI_TYPES:
                    child = renamed(child) or child
                elif child_type == "xhtml":
                    child = _LINK.sub(lambda match: _relinked(match, renamed), child)
            elif isinstance(child, list) and child_type in _URI_TYPES:
                child = [renamed(item) or item if isinstance(item, str) else item for item in child]
            elif isinstance(child, dict | list):
                child = walk(child, child_type)
            result[name] = child
        return result

    return walk_object(resource, resource["resourceType"])


def _relinked(match: "re.Match[str]", renamed: Any) -> str:
    quote = '"' if match[2] is not None else "'"
    target = match[2] if match[2] is not None else match[3]
    return f"{match[1]}{quote}{renamed(target) or target}{quote}"
