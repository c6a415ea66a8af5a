"""Resource → index entry, by the search parameters of its type.

The expressions of a type are compiled once. Values that can't be interpreted are passed over: what is stored is what
the resource says, whether or not it can be searched for.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from math import isfinite
from typing import Any

from fhirserver.fhir.contained_resources import numbered
from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.definitions.search_parameters import SearchParameter
from fhirserver.fhir.fhirpath import FhirPathError
from fhirserver.fhir.fhirpath.paths import Branch, compile_paths
from fhirserver.fhir.literal_references import literal_references
from fhirserver.search.entry import EntryBuilder, IndexEntry
from fhirserver.search.keys import MOST_PLACES, ParameterKeys, place_of, self_key
from fhirserver.search.parameter_types import COLUMNS, PARAMETER_TYPES, indexed
from fhirserver.search.query.contained import contained_key
from fhirserver.search.query.tree import KeyMatch
from fhirserver.search.request import Include, SearchRequest
from fhirserver.search.types.clause import Index, Source
from fhirserver.search.types.date import length_key
from fhirserver.search.types.reference import local_targets, target_types
from fhirserver.search.types.sorting import sort_paths, with_sort_text
from fhirserver.search.types.string import SEPARATOR
from fhirserver.search.words import WordCollector

__all__ = ["Extractor", "IndexEntry"]

_ANY_REFERENCE = ParameterKeys("Resource", "any reference").reference
_HOLDING_NOTHING = frozenset({"AuditEvent"})
"""Types that tell of what was: what they refer to may be deleted."""
_FAR_AWAY = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
_LONG_AGO = datetime(1, 1, 2, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class _Rule:
    """How one parameter is indexed: what its branches select, and what is done with each value."""

    code: str
    present: int
    branches: Sequence[tuple[Callable[[Any], list[Any]], Index]]


@dataclass(frozen=True, slots=True)
class _Rules:
    parameters: Sequence[_Rule]
    principal_date: ParameterKeys | None  # of the date that sort_date holds


class Extractor:
    """Makes index entries. `zone` is that of dates and times without one; `index_version` stands in the entries.

    `with_referrers`: by them it can be found what refers to a resource in any way, parameter or not.
    """

    def __init__(self, definitions: Definitions, zone: tzinfo, index_version: int = 0, *, with_referrers: bool = False):
        self._definitions = definitions
        self._zone = zone
        self.index_version = index_version
        self._with_referrers = with_referrers
        self._rules: dict[tuple[str, str], _Rules] = {}
        self._words = WordCollector(definitions)

    def following(self, definitions: Definitions, index_version: int) -> "Extractor":
        """One by other definitions. What was compiled for types whose parameters are the same is kept."""
        made = Extractor(definitions, self._zone, index_version, with_referrers=self._with_referrers)
        made._words = self._words
        made._rules = {
            key: rules
            for key, rules in self._rules.items()
            if indexed(definitions, key[0]) == indexed(self._definitions, key[0])
        }
        return made

    def extract(self, resource: dict[str, Any], resource_type: str, base_url: str) -> IndexEntry:
        """The index entry of a structurally valid resource. References below `base_url` are to this server."""
        entry = EntryBuilder(base_url, resource)
        rules = self._index(resource, resource_type, "", entry)
        self._index_contained(resource.get("contained", ()), entry)
        if self._with_referrers and resource_type not in _HOLDING_NOTHING:
            for target, _ in self.local_references(resource, base_url):
                entry.keys.add(_ANY_REFERENCE ^ self_key(*target))
        finished = self._finish(entry, rules, resource, resource_type)
        finished.narrative, finished.words = self._words.collect(resource, resource_type)
        finished.index_version = self.index_version
        finished.problems = tuple(entry.problems.items())
        return finished

    def extract_contained(
        self, contained: dict[str, Any], resource_type: str, number: int, base_url: str
    ) -> IndexEntry:
        """What a contained resource contributes to the entry of its container; `number` is its place."""
        entry = EntryBuilder(base_url, contained)
        rules = self._index(contained, resource_type, place_of(number), entry)
        entry.keys.add(contained_key(resource_type, number))
        return self._finish(entry, rules, contained, resource_type)

    def _index(self, resource: dict[str, Any], resource_type: str, place: str, entry: EntryBuilder) -> _Rules:
        rules = self._rules.get((resource_type, place)) or self._compile(resource_type, place)
        for rule in rules.parameters:
            for select, index in rule.branches:
                try:
                    values = select(resource)
                except (FhirPathError, RecursionError) as error:
                    entry.problems[rule.code] = str(error)
                    continue
                if values:
                    entry.keys.add(rule.present)
                    for value in values:
                        index(value, entry)
        return rules

    def _index_contained(self, contained: Any, entry: EntryBuilder) -> None:
        for resource_type, number, resource in numbered(contained):
            if number < MOST_PLACES and self._definitions.is_resource_type(resource_type):
                self._index(resource, resource_type, place_of(number), entry)
                entry.keys.add(contained_key(resource_type, number))

    def local_references(self, resource: dict[str, Any], base_url: str) -> Iterator[tuple[tuple[str, str], str]]:
        """The (type, id) of this server that a resource refers to in any way, each with its place."""
        for text, place in literal_references(resource, self._definitions):
            for target in local_targets(text, base_url):
                yield target, place

    def referrers(self, resource_type: str, id: str) -> SearchRequest:
        """The search for all that refers to a resource in any way, where the entries are made `with_referrers`.

        It is restricted to nothing: that something is referred to does not depend on who asks.
        """
        label = f"referrers of {resource_type}/{id}"
        tree = KeyMatch(label, (_ANY_REFERENCE ^ self_key(resource_type, id),), True)
        return SearchRequest("", tree, restricted=True)

    def references(
        self, resource: dict[str, Any], resource_type: str, code: str, base_url: str
    ) -> list[tuple[str, str]]:
        """The (type, id) of this server that a reference parameter leads to from a resource; `*`: all of them."""
        found: dict[tuple[str, str], None] = {}
        for parameter in self._reference_parameters(resource_type, code):
            for branch in compile_paths(parameter.expression or "", resource_type, self._definitions):
                for value in branch.select(resource):
                    found.update(dict.fromkeys(local_targets(value, base_url)))
        return list(found)

    def referring(self, include: Include, targets: Sequence[tuple[str, str]], limit: int) -> SearchRequest | None:
        """The search for what refers to these (type, id) by the parameter of the include; None if nothing can."""
        every = include.resource_type == "*"
        keys = [
            ParameterKeys(name, parameter.code).reference ^ self_key(*target)
            for name in (self._definitions.resource_types if every else (include.resource_type,))
            for parameter in self._reference_parameters(name, include.parameter)
            for target in targets
            if include.target_type in (None, target[0]) and target[0] in target_types(parameter)
        ]
        if not keys:
            return None
        label = f"{include.parameter} of {','.join('/'.join(target) for target in targets)}"
        tree = KeyMatch(label, tuple(keys), True)
        return SearchRequest("" if every else include.resource_type, tree, count=limit)

    def _reference_parameters(self, resource_type: str, code: str) -> list[SearchParameter]:
        return [
            parameter
            for parameter in self._definitions.search_parameters(resource_type).values()
            if parameter.type == "reference" and parameter.expression and code in ("*", parameter.code)
        ]

    def _compile(self, resource_type: str, place: str) -> _Rules:
        parameters = []
        for parameter in indexed(self._definitions, resource_type).values():
            if parameter.code in COLUMNS:
                continue
            kind = PARAMETER_TYPES[parameter.type]
            keys = ParameterKeys(resource_type, parameter.code, place)
            branches = []
            try:
                selected = branches_of(parameter, self._definitions)
            except FhirPathError:
                if parameter.source is None:
                    raise
                continue  # it was posted to a server with another FHIRPath
            by_text = parameter.type in ("token", "uri", "reference") and not sort_paths(selected)
            for branch in selected:
                source = Source(parameter, branch, keys, self._definitions, self._zone)
                index = kind.indexer(source)
                if index is not None:
                    if by_text:
                        index = with_sort_text(index, branch, keys)
                    branches.append((branch.select, index))
            if branches:
                parameters.append(_Rule(parameter.code, keys.present, branches))
        date = self._definitions.principal_date(resource_type)
        rules = _Rules(parameters, ParameterKeys(resource_type, date) if date else None)
        self._rules[resource_type, place] = rules
        return rules

    @staticmethod
    def _finish(entry: EntryBuilder, rules: _Rules, resource: dict[str, Any], resource_type: str) -> IndexEntry:
        finished = IndexEntry()
        principal = rules.principal_date
        principal_key = principal.range() if principal else None
        when: list[tuple[float, float]] = []
        for key, low, high in entry.ranges:
            finished.range_key.append(key)
            finished.range_low.append(low)
            finished.range_high.append(high)
            if key == principal_key:
                when.append((low, high))
        for reference, target in entry.references:
            finished.ref_key.append(reference)
            finished.ref_target.append(target)
        finished.strings = _joined(entry.strings)
        finished.texts = _joined(entry.texts)
        if principal and when:
            first = min(low if isfinite(low) else high for low, high in when)
            if _LONG_AGO <= first <= _FAR_AWAY:
                finished.sort_date = datetime.fromtimestamp(first, UTC)
            is_plain = finished.sort_date is not None and len(when) == 1
            length = length_key(principal, *when[0]) if is_plain else principal.wide
            if length is not None:
                entry.keys.add(length)
        finished.keys = sorted(entry.keys)
        id = resource.get("id")
        if isinstance(id, str):
            finished.self_key = self_key(resource_type, id)
        return finished


def branches_of(parameter: SearchParameter, definitions: Definitions) -> Sequence[Branch]:
    """The branches of the expression; of an extension, those of its value. Raises FhirPathError."""
    branches = compile_paths(parameter.expression or "", parameter.base, definitions)
    if any(branch.type_name == "Extension" for branch in branches):
        return compile_paths(f"({parameter.expression}).value", parameter.base, definitions)
    return branches


def _joined(strings: Iterable[str]) -> str:
    text = SEPARATOR.join(strings)
    return f"{SEPARATOR}{text}{SEPARATOR}" if text else ""
