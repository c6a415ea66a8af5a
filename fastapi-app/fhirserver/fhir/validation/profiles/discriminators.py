"""How a slice is known: tests of a value made of the discriminators of the slicing and what the slice says there.

https://hl7.org/fhir/R4/profiling.html#discriminator
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.fhirpath import stub
from fhirserver.fhir.profiles.element_tree import Json, Node
from fhirserver.fhir.validation.bindings import BoundSet, codes_of
from fhirserver.fhir.validation.profiles.facets import (
    ANYTHING,
    ValueSetContains,
    dicts,
    listed,
    required_set,
    type_codes,
    value_of,
)
from fhirserver.fhir.validation.profiles.items import Item, child_of
from fhirserver.fhir.validation.profiles.references import first_problem, target_profiles
from fhirserver.fhir.validation.profiles.run import Run
from fhirserver.fhir.validation.profiles.values import has_pattern, is_same

# Whether an item is of a slice.
Test = Callable[[Item, Run], bool]
# The elements of a profile, by its URL; None if it isn't known.
Tree = Callable[[str], Node | None]

_STEP = re.compile(
    r"\s*(?:(?P<this>\$this)|extension\(\s*'(?P<url>[^']+)'\s*\)|(?P<resolve>resolve\(\s*\))"
    r"|(?:ofType|as)\(\s*(?:FHIR\.)?(?P<type>\w+)\s*\)|(?P<name>\w+)(?:\[x\])?)\s*(?:\.|$)"
)


class Unusable(Exception):
    """The discriminator can't be told from what the slice says, and why."""


class Step(NamedTuple):
    """One of `$this` (left out), a name, an extension by its URL, `resolve()`, a type."""

    kind: str
    value: str


class Discriminators(NamedTuple):
    """What tests are made with."""

    definitions: Definitions
    contains: ValueSetContains
    tree: Tree

    def test(self, discriminators: Sequence[Json], slice_: Node) -> Test:
        """The test of all discriminators. Raises Unusable."""
        tests = [self._test(item, slice_) for item in discriminators]
        if not tests:
            raise Unusable("it has no discriminator")
        if len(tests) == 1:
            return tests[0]
        return lambda item, run: all(test(item, run) for test in tests)

    def _test(self, discriminator: Json, slice_: Node) -> Test:
        kind, path = str(discriminator.get("type")), str(discriminator.get("path"))
        steps = _steps(path)
        reached = self._reached(slice_, steps)
        nodes = [node for node, rest in reached if not rest]
        if kind in ("value", "pattern"):
            matches = self._value_test(reached, nodes)
            if matches is None:
                return self._presence_test(nodes, steps, path)
            return lambda item, run: any(matches(end, run) for end in self._items(item, steps, run))
        if kind == "exists":
            return self._presence_test(nodes, steps, path)
        if kind == "type":
            return self._type_test(nodes, steps, path)
        if kind == "profile":
            return self._profile_test(nodes, steps, path)
        raise Unusable(f"there is no discriminator of type {kind[:40]}")

    def _value_test(self, reached: list[tuple[Node, list[Step]]], ends: list[Node]) -> Test | None:
        """By a fixed value, a pattern or a value set: at the end of the path, above it or below."""
        for node, rest in reversed(reached):
            for prefix, holds in (("fixed", is_same), ("pattern", has_pattern)):
                expected = value_of(node.element, prefix)
                for step in rest:
                    expected = _inside(expected, step)
                if expected is not None:
                    return _value_is(expected, has_pattern if rest else holds)
        for node in ends:
            bound = required_set(node.element, self.contains)
            if bound is not None:
                return _is_bound(bound)
        for node in ends:
            below = list(_fixed_below(node, []))
            if below:
                return self._all_below(below)
        return None

    def _presence_test(self, nodes: list[Node], steps: list[Step], path: str) -> Test:
        """By whether there is anything at the end of the path."""
        if any(node.element.get("max") == "0" for node in nodes):
            return lambda item, run: not self._items(item, steps, run)
        if steps and any(node.element.get("min") for node in nodes):
            return lambda item, run: bool(self._items(item, steps, run))
        raise Unusable(f"the slice does not say what its {path} is")

    def _all_below(self, below: list[tuple[list[Step], Any, Callable[[Any, Any], bool]]]) -> Test:
        """By the values that are fixed in what is below the end of the path."""

        def test(item: Item, run: Run) -> bool:
            return all(
                any(holds(expected, end.value) for end in self._items(item, steps, run))
                for steps, expected, holds in below
            )

        return test

    def _type_test(self, nodes: list[Node], steps: list[Step], path: str) -> Test:
        codes: set[str] = set()
        for node in nodes:
            codes |= type_codes(node.element)
        if not codes:
            raise Unusable(f"the slice does not say of which type its {path} is")
        if codes & ANYTHING:
            return lambda item, run: bool(self._items(item, steps, run))
        return lambda item, run: any(end.type_code in codes for end in self._items(item, steps, run))

    def _profile_test(self, nodes: list[Node], steps: list[Step], path: str) -> Test:
        urls = tuple(url for node in nodes for url in _profiles_of(node.element))
        if not urls:
            return self._type_test(nodes, steps, path)

        return lambda item, run: any(first_problem(end, urls, run) is None for end in self._items(item, steps, run))

    def _reached(self, slice_: Node, steps: list[Step]) -> list[tuple[Node, list[Step]]]:
        """The elements on the way of a path in a slice, each with the steps that remain."""
        reached: list[tuple[Node, list[Step]]] = [(slice_, steps)]
        nodes = [slice_]
        for place, step in enumerate(steps):
            nodes = [found for node in nodes for found in self._next(node, step)]
            reached += [(node, steps[place + 1 :]) for node in nodes]
        return reached

    def _next(self, node: Node, step: Step) -> Iterator[Node]:
        if step.kind == "resolve":
            for url in target_profiles(node.element):
                # Only what it says itself counts, and which profile it is.
                root = self.tree(url)
                code = root.element.get("path") if root is not None else url.rpartition("/")[2]
                yield Node({"type": [{"code": code, "profile": [url]}]}, root.children if root is not None else {})
            return
        if step.kind == "type":
            kinds = [kind for kind in dicts(node.element.get("type")) if kind.get("code") == step.value]
            if kinds:
                yield Node(node.element | {"type": kinds}, node.children)
            return
        places = [node]
        if not node.children:
            places = [root for url in _profiles_of(node.element) if (root := self.tree(url)) is not None]
        for place in places:
            if step.kind == "extension":
                yield from self._extension(place, step.value)
                continue
            child = place.children.get(step.value) or place.children.get(step.value + "[x]")
            if child is not None:
                yield child
                yield from child.slices.values()

    def _extension(self, node: Node, url: str) -> Iterator[Node]:
        child = node.children.get("extension")
        for slice_ in child.slices.values() if child is not None else ():
            if (
                url in _profiles_of(slice_.element)
                or value_of(slice_.children.get("url", Node({})).element, "fixed") == url
            ):
                yield slice_

    def _items(self, item: Item, steps: list[Step], run: Run) -> list[Item]:
        """The values at the end of a path."""
        items = [item]
        for step in steps:
            items = [found for each in items for found in self._go(each, step, run)]
        run.spend(len(items) + 1)
        return items

    def _go(self, item: Item, step: Step, run: Run) -> list[Item]:
        if step.kind == "type":
            return [item] if item.type_code == step.value else []
        content = item.content
        if content is None:
            return []
        if step.kind == "resolve":
            text = content.get("reference")
            target = run.target(text) if type(text) is str else None
            if target is not None:
                return [Item(target, run.type_of(target), item.place)]
            # Of what is elsewhere nothing but the type is known.
            named = stub(content)
            return [Item(None, run.type_of(named), item.place)] if named is not None else []
        name = "extension" if step.kind == "extension" else step.value
        try:
            child = child_of(self.definitions.type(item.type_code), name, self.definitions)
        except KeyError:
            return []
        found = child.read(content, item.place) if child is not None else []
        if step.kind == "extension":
            found = [each for each in found if (each.content or {}).get("url") == step.value]
        return found


def _steps(path: str) -> list[Step]:
    steps: list[Step] = []
    at = 0
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            raise Unusable(f"its path {path[:80]!r} is not one that R4 allows")
        at = match.end()
        kinds = {"url": "extension", "resolve": "resolve", "type": "type", "name": "name"}
        steps += [Step(kind, match[group]) for group, kind in kinds.items() if match[group] is not None]
    return steps


def _profiles_of(element: Json) -> tuple[str, ...]:
    return tuple(url for kind in dicts(element.get("type")) for url in listed(kind.get("profile")) if type(url) is str)


def _inside(expected: Any, step: Step) -> Any:
    """What a fixed value or a pattern has at a step; of several things there the first."""
    if type(expected) is list:
        expected = expected[0] if expected else None
    if type(expected) is not dict or step.kind != "name":
        return None
    found: Any = expected.get(step.value)
    return next(iter(found), None) if type(found) is list else found


def _value_is(expected: Any, holds: Callable[[Any, Any], bool]) -> Test:
    return lambda item, run: holds(expected, item.value)


def _is_bound(bound: BoundSet) -> Test:
    """What can't be told counts as a code of the slice: that its codes are right is asked elsewhere."""

    def test(item: Item, run: Run) -> bool:
        answers = [bound.contains(system, code) for system, code in codes_of(item.value, item.type_code)]
        return True in answers or None in answers

    return test


def _fixed_below(node: Node, steps: list[Step]) -> Iterator[tuple[list[Step], Any, Callable[[Any, Any], bool]]]:
    for name, child in node.children.items():
        path = [*steps, Step("name", name.removesuffix("[x]"))]
        for each in (child, *child.slices.values()):
            for prefix, holds in (("fixed", is_same), ("pattern", has_pattern)):
                expected = value_of(each.element, prefix)
                if expected is not None and (each is child or each.element.get("min")):
                    yield path, expected, holds
            yield from _fixed_below(each, path)
