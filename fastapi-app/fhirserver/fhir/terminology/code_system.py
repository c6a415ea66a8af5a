"""Code systems that are held in memory: CodeSystem resources.

The hierarchy is what is nested, and what properties with the meaning `parent` or `child` say. It is what is-a filters
and subsumption go by, whatever `hierarchyMeaning` is: those who classify expect what is classified below.

https://hl7.org/fhir/R4/codesystem.html
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property, lru_cache
from typing import Protocol

from fhirserver.fhir.terminology.concepts import Concept, Json, Meanings, name_text, objects

_KEPT = 16


class System(Protocol):
    """What the evaluation of value sets asks of a code system. All codes are known, or can be told by their form."""

    @property
    def url(self) -> str: ...

    @property
    def version(self) -> str | None: ...

    @property
    def header(self) -> Json:
        """The CodeSystem resource without its concepts."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether a code that it does not have does not exist."""
        ...

    def concept(self, code: str) -> Concept | None:
        """The concept with this code. Its own code may differ in case, if that does not matter in the system."""
        ...

    def concepts(self) -> Iterable[Concept] | None:
        """All concepts in the order of the code system; None if there is no end of them."""
        ...

    def children(self, code: str) -> Sequence[str]:
        """The codes directly below this one."""
        ...

    def below(self, code: str) -> AbstractSet[str]:
        """All that this code subsumes, at any level, without itself."""
        ...

    def above(self, code: str) -> AbstractSet[str]:
        """All that subsume this code, at any level, without itself."""
        ...


class CodeSystem:
    """A CodeSystem resource. What is no concept in it is passed over: stored resources are checked when written."""

    def __init__(self, resource: Json):
        self.header = {name: value for name, value in resource.items() if name != "concept"}
        self.url = str(resource.get("url", ""))
        self.version: str | None = resource.get("version")
        self.content = str(resource.get("content", "not-present"))
        self._concepts = _read(resource)
        # A rule that is not known: codes are accepted in any case.
        self._folded = (
            {}
            if resource.get("caseSensitive") is True
            else {code.casefold(): code for code in reversed(self._concepts)}
        )
        self._children: dict[str, list[str]] = {}
        for concept in self._concepts.values():
            for parent in concept.parents:
                self._children.setdefault(parent, []).append(concept.code)
        self.below = lru_cache(_KEPT)(self._below)
        self.above = lru_cache(_KEPT)(self._above)

    def __len__(self) -> int:
        return len(self._concepts)

    @property
    def is_complete(self) -> bool:
        """Whether a code that it does not have does not exist."""
        return self.content == "complete"

    def concept(self, code: str) -> Concept | None:
        """The concept with this code; in another case too, unless the code system says that case matters."""
        found = self._concepts.get(code)
        if found is None and self._folded:
            return self._concepts.get(self._folded.get(code.casefold(), code))
        return found

    def concepts(self) -> Iterable[Concept]:
        """All concepts, in the order of the resource."""
        return self._concepts.values()

    @cached_property
    def name_texts(self) -> Mapping[str, str]:
        """The `name_text` of each concept, by code."""
        return {concept.code: name_text(concept) for concept in self._concepts.values()}

    def children(self, code: str) -> Sequence[str]:
        """The codes directly below this one."""
        return self._children.get(code, ())

    def _below(self, code: str) -> frozenset[str]:
        return _reached(code, self.children)

    def _above(self, code: str) -> frozenset[str]:
        return _reached(code, lambda other: found.parents if (found := self._concepts.get(other)) else ())


def _reached(code: str, step: Callable[[str], Iterable[str]]) -> frozenset[str]:
    """All that is reached from a code, without itself. Circles do no harm."""
    found = {code}
    waiting = list(step(code))
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting += step(other)
    return frozenset(found - {code})


def _read(resource: Json) -> dict[str, Concept]:
    meanings = Meanings(objects(resource.get("property")))
    items: dict[str, Json] = {}
    parents: dict[str, dict[str, None]] = {}
    for item, parent in _nested(resource):
        code = item["code"]
        items.setdefault(code, item)
        above = parents.setdefault(code, {})
        if parent is not None:
            above[parent] = None
        properties = objects(item.get("property"))
        for link in meanings.links("parent", properties):
            above[link] = None
        for link in meanings.links("child", properties):
            parents.setdefault(link, {})[code] = None
    return {
        code: Concept(
            code,
            item.get("display"),
            item.get("definition"),
            objects(item.get("designation")),
            properties,
            tuple(parents[code]),
            meanings.is_inactive(properties),
            meanings.is_abstract(properties),
        )
        for code, item in items.items()
        for properties in (objects(item.get("property")),)
    }


def _nested(resource: Json) -> Iterator[tuple[Json, str | None]]:
    """Each concept with the code of the one it is nested in, in the order of the resource."""
    waiting: list[tuple[Json, str | None]] = [(item, None) for item in reversed(objects(resource.get("concept")))]
    while waiting:
        item, parent = waiting.pop()
        if isinstance(item.get("code"), str):
            yield item, parent
            waiting += [(below, item["code"]) for below in reversed(objects(item.get("concept")))]
