"""The elements of a snapshot as a tree: each with its children by name, and its slices.

https://hl7.org/fhir/R4/elementdefinition.html#id
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

MOST_ELEMENTS = 20_000
"""In one snapshot; the largest of those that are published have some thousands."""

Step = tuple[str, str | None]
"""The name of an element below another and, if it is one, of the slice."""


class TooManyElements(Exception):
    """The snapshot would have more than MOST_ELEMENTS elements."""


@dataclass(slots=True)
class Node:
    """An ElementDefinition with what is below it. The definition is never changed, but replaced.

    `slices` has reslices too (`a/b`), after what they are slices of.
    """

    element: Json
    children: "dict[str, Node]" = field(default_factory=dict)
    slices: "dict[str, Node]" = field(default_factory=dict)


class Tree:
    """The elements of a structure. Raises TooManyElements when it grows over all bounds."""

    def __init__(self, root: Node, size: int):
        self.root = root
        self._size = size

    @classmethod
    def read(cls, elements: Sequence[Json]) -> "Tree":
        """The tree of a snapshot. What is below no other element is left out."""
        root = Node(elements[0])
        steps_of = StepsReader()
        for element in elements:
            steps = steps_of(element)
            at: Node | None = root
            for name, slice_name in steps[:-1]:
                at = _found(at, name, slice_name)
            if steps and at is not None:
                _put(at, *steps[-1], Node(element))
        return cls(root, len(elements))

    def copy(self, node: Node, *, with_slices: bool = True) -> Node:
        """The same element and all below it, to be part of this tree too."""
        self._size += 1
        if self._size > MOST_ELEMENTS:
            raise TooManyElements
        return Node(
            node.element,
            {name: self.copy(child) for name, child in node.children.items()},
            {name: self.copy(slice_) for name, slice_ in node.slices.items()} if with_slices else {},
        )

    def elements(self) -> list[Json]:
        """The snapshot: each element with its children, then its slices, with ids and paths as they follow from it."""
        name = str(self.root.element.get("path"))
        return list(_written(self.root, name, name))


class StepsReader:
    """Tells the steps from the root to an element of a differential or snapshot; to be asked in their order.

    They stand in the id; of an element without one they follow from its path, its name as a slice, and the slices
    before it.
    """

    def __init__(self) -> None:
        self._before: list[Step] = []

    def __call__(self, element: Json) -> list[Step]:
        names = str(element.get("path", "")).split(".")
        parts = str(element.get("id", "")).split(".")
        if len(parts) == len(names) and _base_name(parts[0]) == names[0] and "id" in element:
            steps = [_step(part) for part in parts[1:]]
        else:
            steps = []
            for place, name in enumerate(names[1:]):
                is_same = steps == self._before[:place] and place < len(self._before)
                slice_name = self._before[place][1] if is_same and self._before[place][0] == name else None
                steps.append((name, slice_name))
        slice_name = element.get("sliceName")
        if steps and isinstance(slice_name, str):
            steps[-1] = steps[-1][0], slice_name
        elif steps and "id" not in element:
            steps[-1] = steps[-1][0], None
        self._before = steps
        return steps


def _step(part: str) -> Step:
    name, _, slice_name = part.partition(":")
    return name, slice_name or None


def _base_name(part: str) -> str:
    return part.partition(":")[0]


def _found(node: Node | None, name: str, slice_name: str | None) -> Node | None:
    child = node.children.get(name) if node is not None else None
    return child if child is None or slice_name is None else child.slices.get(slice_name)


def _put(parent: Node, name: str, slice_name: str | None, node: Node) -> None:
    if slice_name is None:
        parent.children[name] = node
    elif name in parent.children:
        parent.children[name].slices[slice_name] = node


def _written(node: Node, id: str, path: str) -> Iterator[Json]:
    yield {"id": id, "path": path} | {name: value for name, value in node.element.items() if name not in ("id", "path")}
    for name, child in node.children.items():
        yield from _written(child, f"{id}.{name}", f"{path}.{name}")
        for slice_name, slice_ in _slices(child.slices.items()):
            yield from _written(slice_, f"{id}.{name}:{slice_name}", f"{path}.{name}")


def _slices(items: Iterable[tuple[str, Node]]) -> list[tuple[str, Node]]:
    """Reslices stand behind what they are slices of."""
    order = {name: place for place, (name, _) in enumerate(items)}
    return sorted(items, key=lambda item: (order[item[0].partition("/")[0]], order[item[0]])) if items else []
