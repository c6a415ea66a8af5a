"""What a value set contains: for each code system, which of its concepts.

`compose` is evaluated to one `Selection` for each code system, imports included; code systems themselves are not
needed for that. A value set that has no definition, only an expansion, contains what that lists.

https://hl7.org/fhir/R4/valueset.html#compositions and #filter-operator
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import re2

from fhirserver.fhir.outcomes import Unprocessable
from fhirserver.fhir.terminology.concepts import Json, objects, texts
from fhirserver.fhir.terminology.selection import (
    Above,
    And,
    Codes,
    Everything,
    IsA,
    Not,
    Or,
    Pattern,
    Property,
    Selection,
    codes,
)

_DEEPEST = 30
_LARGEST = 20_000
_LONGEST_REGEX = 1000

SystemKey = tuple[str, str | None]
"""A code system and, where the value set says one, its version."""


@dataclass(frozen=True, slots=True)
class Contents:
    """`parts` in the order of the definition. `inactive` is False if it leaves out inactive concepts."""

    parts: Mapping[SystemKey, Selection]
    inactive: bool = True

    def of(self, system: str) -> "dict[SystemKey, Selection]":
        """The parts of one code system, whatever its version."""
        return {key: selection for key, selection in self.parts.items() if key[0] == system}


def canonical(text: str) -> SystemKey:
    """`http://loinc.org|2.77` → its URL and version."""
    url, _, version = text.partition("|")
    return url, version or None


def imports(value_set: Json) -> list[str]:
    """The canonicals of the value sets that this one is made of."""
    return [
        url
        for part in (*_parts(value_set, "include"), *_parts(value_set, "exclude"))
        for url in texts(part.get("valueSet"))
    ]


def contents(value_set: Json, resolve: Callable[[str], Json]) -> Contents:
    """What the value set contains. `resolve` gives the imported ones by their canonicals.

    Raises `Unprocessable` for what can't be evaluated: imports in a circle, filters that make no sense, too much of
    all that. What `resolve` raises goes through.
    """
    return _Composition(resolve).contents(value_set, ())


class _Composition:
    """The value sets that are made of each other, each evaluated once."""

    def __init__(self, resolve: Callable[[str], Json]):
        self._resolve = resolve
        self._done: dict[str, Contents] = {}
        self._sizes: dict[int, tuple[int, Selection]] = {}  # the selection is kept, and so its id is no other's

    def contents(self, value_set: Json, within: tuple[str, ...]) -> Contents:
        if "compose" not in value_set:
            return Contents(_expanded(value_set))
        within = (*within, str(value_set.get("url", "the value set")))
        included: dict[SystemKey, list[Selection]] = {}
        excluded: list[tuple[SystemKey, Selection]] = []
        for part in _parts(value_set, "include"):
            for key, selection in self._part(part, within).items():
                included.setdefault(key, []).append(selection)
        for part in _parts(value_set, "exclude"):
            excluded += self._part(part, within).items()
        parts = {}
        for key, selections in included.items():
            selection = selections[0] if len(selections) == 1 else Or(selections)
            without = [Not(other) for where, other in excluded if _overlap(key, where)]
            parts[key] = And([selection, *without]) if without else selection
            self._require_size(parts[key])
        compose = value_set["compose"]
        return Contents(parts, not (isinstance(compose, dict) and compose.get("inactive") is False))

    def _part(self, part: Json, within: tuple[str, ...]) -> dict[SystemKey, Selection]:
        """What one include or exclude selects: all that it says must hold."""
        urls = list(dict.fromkeys(texts(part.get("valueSet"))))
        system = part.get("system")
        if not isinstance(system, str):
            return self._imported(urls, within) if urls else {}
        url, version = canonical(system)
        key = url, part.get("version") or version
        selection = _own(part, url)
        if urls:
            same = _same(self._imported(urls, within), key)
            return {key: And([selection, *same])} if same else {}
        return {key: selection}

    def _imported(self, urls: Sequence[str], within: tuple[str, ...]) -> dict[SystemKey, Selection]:
        """What is in all of these value sets."""
        first, *others = [self._import(url, within).parts for url in urls]
        found = dict(first)
        for other in others:
            found = {key: And([mine, *_same(other, key)]) for key, mine in found.items() if _same(other, key)}
        return found

    def _import(self, url: str, within: tuple[str, ...]) -> Contents:
        if url in self._done:
            return self._done[url]
        value_set = self._resolve(url)
        name = str(value_set.get("url", url))
        if name in within:
            raise Unprocessable(f"value sets import each other: {' → '.join((*within, name))}")
        if len(within) > _DEEPEST:
            raise Unprocessable(f"value sets import each other more than {_DEEPEST} levels deep", code="too-costly")
        self._done[url] = self.contents(value_set, within)
        return self._done[url]

    def _require_size(self, selection: Selection) -> None:
        if self._size(selection) > _LARGEST:
            raise Unprocessable("the value set is made of too many others", code="too-costly")

    def _size(self, selection: Selection) -> int:
        """How many conditions have to be looked at for one concept."""
        if id(selection) not in self._sizes:
            match selection:
                case And(parts) | Or(parts):
                    size = 1 + sum(map(self._size, parts))
                case Not(part):
                    size = 1 + self._size(part)
                case _:
                    size = 1
            self._sizes[id(selection)] = size, selection
        return self._sizes[id(selection)][0]


def _own(part: Json, system: str) -> Selection:
    if "concept" in part:
        return Codes(
            {item["code"]: _shown(item) for item in objects(part["concept"]) if isinstance(item.get("code"), str)}
        )
    filters = [_filter(item, system) for item in objects(part.get("filter"))]
    if not filters:
        return Everything()
    return filters[0] if len(filters) == 1 else And(filters)


def _shown(item: Json) -> Json:
    return {name: item[name] for name in ("display", "designation") if name in item}


def _filter(item: Json, system: str) -> Selection:
    """One filter. https://hl7.org/fhir/R4/valueset-filter-operator.html"""
    name, op, value = (str(item.get(part, "")) for part in ("property", "op", "value"))
    listed = dict.fromkeys(text for text in (text.strip() for text in value.split(",")) if text)
    by_concept = name in ("concept", "code")
    match op:
        case "is-a":
            return IsA(value)
        case "descendent-of":
            return IsA(value, proper=True)
        case "is-not-a":
            return Not(IsA(value))
        case "generalizes":
            return Above(value)
        case "=" if name == "parent":
            return Property("parent", frozenset((value,)))
        case "=" if name == "child":
            return Above(value, direct=True)
        case "=" if by_concept:
            return codes((value,))
        case "=":
            return Property(name, frozenset((value,)))
        case "in" if by_concept and system == "http://snomed.info/sct":
            # https://hl7.org/fhir/R4/snomedct.html#4.3.1.0.5.2: the members of a reference set
            return Or([codes(listed), Property("memberOf", frozenset(listed))])
        case "in" if by_concept:
            return codes(listed)
        case "in":
            return Property(name, frozenset(listed))
        case "not-in":
            return Not(codes(listed) if by_concept else Property(name, frozenset(listed)))
        case "exists":
            if value not in ("true", "false"):
                raise Unprocessable(f"the value of an exists filter is true or false, not '{value[:80]}'")
            return Property(name, None) if value == "true" else Not(Property(name, None))
        case "regex":
            return Pattern(name, _checked(value))
    raise Unprocessable(f"'{op[:40]}' is no filter operator of R4", code="not-supported")


def _checked(regex: str) -> str:
    if len(regex) > _LONGEST_REGEX:
        raise Unprocessable(f"a regular expression of more than {_LONGEST_REGEX} characters is not evaluated")
    try:
        re2.compile(regex)
    except re2.error as error:
        raise Unprocessable(f"the regular expression '{regex[:80]}' can't be evaluated: {error}") from None
    return regex


def _same(parts: Mapping[SystemKey, Selection], key: SystemKey) -> list[Selection]:
    """What these parts say about a code system, as one selection in a list; an empty list if nothing."""
    found = [selection for other, selection in parts.items() if _overlap(key, other)]
    return found if len(found) < 2 else [Or(found)]


def _overlap(key: SystemKey, other: SystemKey) -> bool:
    return key[0] == other[0] and (key[1] is None or other[1] is None or key[1] == other[1])


def _parts(value_set: Json, name: str) -> Iterator[Json]:
    compose = value_set.get("compose")
    if isinstance(compose, dict):
        yield from objects(compose.get(name))


def _expanded(value_set: Json) -> dict[SystemKey, Selection]:
    found: dict[SystemKey, dict[str, Any]] = {}
    expansion = value_set.get("expansion")
    for item in _contained(expansion.get("contains") if isinstance(expansion, dict) else ()):
        system, code = item.get("system"), item.get("code")
        if isinstance(system, str) and isinstance(code, str) and not item.get("abstract"):
            found.setdefault((system, item.get("version")), {})[code] = _shown(item)
    return {key: Codes(listed) for key, listed in found.items()}


def _contained(items: Any) -> Iterator[Json]:
    for item in objects(items):
        yield item
        yield from _contained(item.get("contains"))
