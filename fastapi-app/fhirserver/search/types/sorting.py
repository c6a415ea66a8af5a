"""By what resources are sorted that are sorted by a code, a URI or a reference: its text in the content or, where
SQL can't select that, a copy of it among the strings of the entry."""

from collections.abc import Sequence
from typing import Any

from fhirserver.fhir.datatypes.text import normalised
from fhirserver.fhir.fhirpath.paths import Branch
from fhirserver.search.entry import EntryBuilder
from fhirserver.search.keys import ParameterKeys
from fhirserver.search.types.clause import Index

_MEMBERS = {
    "CodeableConcept": ("coding", "code"),
    "Coding": ("code",),
    "Identifier": ("value",),
    "ContactPoint": ("value",),
    "Reference": ("reference",),
}


def sort_paths(branches: Sequence[Branch]) -> tuple[str, ...]:
    """The paths to the texts, in SQL/JSON; none if one of the branches has no path."""
    if any(branch.json_path is None for branch in branches):
        return ()
    return tuple("".join((str(branch.json_path), *(f".{name}" for name in _members(branch)))) for branch in branches)


def with_sort_text(index: Index, branch: Branch, keys: ParameterKeys) -> Index:
    """`index`, and the text among the strings."""
    members = _members(branch)

    def both(value: Any, entry: EntryBuilder) -> None:
        index(value, entry)
        for text in _texts(value, members):
            entry.strings[f"{keys.name}={normalised(text)}"] = None

    return both


def _members(branch: Branch) -> tuple[str, ...]:
    return _MEMBERS.get(branch.type_name, ())


def _texts(value: Any, members: tuple[str, ...]) -> list[str]:
    values = [value]
    for name in members:
        found = [item.get(name) for item in values if isinstance(item, dict)]
        values = [inner for item in found for inner in (item if isinstance(item, list) else [item])]
    return [
        item if isinstance(item, str) else str(item).lower() for item in values if isinstance(item, str | bool | int)
    ]
