"""Code systems that are held in memory: CodeSystem resources.

The hierarchy is what is nested, and what properties with the meaning `parent` or `child` say. It is what is-a filters
and subsumption go by, whatever `hierarchyMeaning` is: those who classify expect what is classified below.

https://hl7.org/fhir/R4/codesystem.html
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from fhirserver.fhir.terminology.concepts import Concept, Json, Meanings


class System(Protocol):
    """What the evaluation of value sets asks of a code system. All codes are known, or can be told by their form."""

    @property
    def url(self) -> str: ...

    @property
    def version(self) -> str | None: ...

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


class CodeSystem:
    """A CodeSystem resource. What is no concept in it is passed over: stored resources are checked when written."""

    def __init__(self, resource: Json):
        self.resource = {name: value for name, value in resource.items() if name != "concept"}
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

    def children(self, code: str) -> Sequence[str]:
        """The codes directly below this one."""
        return self._children.get(code, ())


def _read(resource: Json) -> dict[str, Concept]:
    meanings = Meanings(resource.get("property", ()))
    items: dict[str, Json] = {}
    parents: dict[str, dict[str, None]] = {}
    for item, parent in _nested(resource):
        code = item["code"]
        items.setdefault(code, item)
        above = parents.setdefault(code, {})
        if parent is not None:
            above[parent] = None
        for link in meanings.links("parent", item.get("property", ())):
            above[link] = None
        for link in meanings.links("child", item.get("property", ())):
            parents.setdefault(link, {})[code] = None
    lineage = Lineage(parents)
    return {
        code: Concept(
            code,
            item.get("display"),
            item.get("definition"),
            item.get("designation", ()),
            item.get("property", ()),
            tuple(parents[code]),
            lineage.of(code),
            meanings.is_inactive(item.get("property", ())),
            meanings.is_abstract(item.get("property", ())),
        )
        for code, item in items.items()
    }


def _nested(resource: Json) -> Iterator[tuple[Json, str | None]]:
    """Each concept with the code of the one it is nested in, in the order of the resource."""
    waiting: list[tuple[Json, str | None]] = [(item, None) for item in reversed(resource.get("concept", ()))]
    while waiting:
        item, parent = waiting.pop()
        if isinstance(item.get("code"), str):
            yield item, parent
            waiting += [(below, item["code"]) for below in reversed(item.get("concept", ()))]


class Lineage:
    """All that is above each code, in a hierarchy that is given by direct parents. Cycles do no harm."""

    def __init__(self, parents: Mapping[str, Iterable[str]]):
        self._parents = parents
        self._known: dict[str, frozenset[str]] = {}

    def of(self, code: str) -> frozenset[str]:
        """The codes above this one, at any level, without itself."""
        known = self._known.get(code)
        if known is None:
            found: set[str] = set()
            waiting = list(self._parents.get(code, ()))
            while waiting:
                above = waiting.pop()
                if above in found:
                    continue
                found.add(above)
                ready = self._known.get(above)
                if ready is not None:
                    found |= ready
                else:
                    waiting += self._parents.get(above, ())
            found.discard(code)
            known = self._known[code] = frozenset(found)
        return known
