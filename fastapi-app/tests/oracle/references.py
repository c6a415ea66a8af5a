"""References, canonicals and URIs. https://hl7.org/fhir/R4/search.html#reference and #uri"""

import re
from typing import Any

from .texts import plain, token_matches

BASE = "http://test/fhir"

_ADDRESS = re.compile(r"(?:(.+)/)?([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?")


def target(text: Any) -> tuple[str, str] | str | None:
    """What a reference leads to: (type, id) on this server, or a URL without the version."""
    if not isinstance(text, str) or text.startswith("#"):
        return None
    match = _ADDRESS.fullmatch(text)
    if match is not None and match[1] in (None, BASE):
        return match[2], match[3]
    return text.partition("/_history/")[0]


def type_of(value: dict[str, Any]) -> str | None:
    """The type of resource that a Reference names; none is fetched for it."""
    match = _ADDRESS.fullmatch(value.get("reference", ""))
    return match[2] if match is not None else value.get("type")


def targets(value: Any) -> list[tuple[str, str] | str]:
    """What a value of a reference parameter leads to; a canonical with its version and without it."""
    if isinstance(value, dict):
        found = [target(value.get("reference"))]
    else:
        found = [target(value), target(value.partition("|")[0])]
    return [item for item in found if item is not None]


def reference_matches(value: Any, modifier: str, asked: str, target_types: tuple[str, ...]) -> bool:
    """An id of any of the types, `Type/id`, or a URL; with `:identifier` the token of a logical reference."""
    if modifier == "identifier":
        identifier = value.get("identifier", {}) if isinstance(value, dict) else {}
        return token_matches([(identifier.get("system"), identifier.get("value"))], asked)
    text = plain(asked)
    for found in targets(value):
        if isinstance(found, tuple) and "/" not in text:
            if found[1] == text and found[0] in ((modifier,) if modifier else target_types):
                return True
        elif found == target(text):
            return True
    return False


def uri_matches(value: str, modifier: str, asked: str) -> bool:
    """The very URI, or one below or above it; a canonical is found without its version too."""
    wanted = plain(asked)
    forms = {value, value.partition("|")[0]}
    if modifier == "below":
        return _is_below(value, wanted)
    if modifier == "above":
        return any(_is_below(wanted, form) for form in forms)
    return wanted in forms


def _is_below(uri: str, other: str) -> bool:
    """Whether the path of a URL starts with that of the other one; of canonicals with a version, whether that does."""
    path, _, version = uri.partition("|")
    other_path, _, other_version = other.partition("|")
    if "://" not in uri or other_version:
        return "://" in uri and path == other_path and f"{version}.".startswith(f"{other_version}.")
    return f"{path.rstrip('/')}/".startswith(f"{other_path.rstrip('/')}/")
