"""The snapshot of a profile: what its base says of each element, with what its differential changes.

https://hl7.org/fhir/R4/profiling.html#snapshot and #slicing
"""

from collections.abc import Callable, Iterator, Sequence

from fhirserver.fhir.outcomes import InvalidResource, Issue
from fhirserver.fhir.profiles.element_tree import MOST_ELEMENTS, Json, Node, Step, StepsReader, TooManyElements, Tree
from fhirserver.fhir.profiles.merging import merged, narrowed

Lookup = Callable[[str], Json | None]
"""A StructureDefinition by its canonical URL, which may have a `|version`; None if it is not known."""

STRUCTURES = "http://hl7.org/fhir/StructureDefinition/"
_DIFFERENTIAL = "StructureDefinition.differential"
_MAX_ISSUES = 100
_DEEPEST = 40
_BY_URL = {"discriminator": [{"type": "value", "path": "url"}], "ordered": False, "rules": "open"}
_BY_TYPE: Json = {"discriminator": [{"type": "type", "path": "$this"}], "ordered": False, "rules": "open"}
_BY_TYPE_ALONE = _BY_TYPE | {"rules": "closed"}


def with_snapshot(structure: Json, lookup: Lookup) -> Json:
    """The StructureDefinition with a snapshot: its own, or one made of its base's and its differential.

    Raises `InvalidResource`, with all that is wrong: a base that is not known or that leads back to itself, elements
    that the base does not have, cardinalities, types or bindings wider than the base's.
    """
    return _Snapshots(lookup).of(structure)


class _Snapshots:
    """Makes the snapshots of a structure and of what it is made of, each once."""

    def __init__(self, lookup: Lookup):
        self._lookup = lookup
        self._made: dict[str, Json] = {}
        self._under_way: list[str] = []

    def of(self, structure: Json) -> Json:
        """Raises InvalidResource."""
        if _elements(structure, "snapshot"):
            return structure
        url = str(structure.get("url"))
        if url in self._made:
            return self._made[url]
        if url in self._under_way:
            raise _invalid("invalid", f"{url[:200]} is based on itself", "StructureDefinition.baseDefinition")
        if len(self._under_way) >= _DEEPEST:
            raise _invalid("too-costly", "it is based on too many others", "StructureDefinition.baseDefinition")
        self._under_way.append(url)
        try:
            made = structure | {"snapshot": {"element": _Snapshot(structure, self._base(structure), self).elements()}}
        except TooManyElements:
            problem = f"the snapshot would have more than {MOST_ELEMENTS} elements"
            raise _invalid("too-costly", problem, _DIFFERENTIAL) from None
        finally:
            self._under_way.pop()
        self._made[url] = made
        return made

    def known(self, url: str) -> Json | None:
        """A structure with its snapshot; None if it isn't known or has none that can be made."""
        found = self._lookup(url)
        try:
            return self.of(found) if found is not None else None
        except InvalidResource:
            return None

    def _base(self, structure: Json) -> Json:
        url = structure.get("baseDefinition")
        if not isinstance(url, str):
            raise _invalid("required", "it has no snapshot, and no base to make one of", "StructureDefinition")
        base = self._lookup(url)
        if base is None:
            problem = f"the base {url[:200]} is not known"
            raise _invalid("not-found", problem, "StructureDefinition.baseDefinition")
        try:
            return self.of(base)
        except InvalidResource as error:
            problem = f"the base {url[:200]} has no snapshot: {error.issues[0].diagnostics}"
            raise _invalid(error.issues[0].code, problem, "StructureDefinition.baseDefinition") from error


class _Snapshot:
    """One snapshot in the making."""

    def __init__(self, structure: Json, base: Json, snapshots: _Snapshots):
        self._differential = _elements(structure, "differential")
        self._base = base
        self._snapshots = snapshots
        self._tree = Tree.read(_elements(base, "snapshot"))
        self._issues: list[Issue] = []
        self._names: dict[tuple[Step, ...], set[str]] = {}  # of the elements of the differential, by those above

    def elements(self) -> list[Json]:
        """Raises InvalidResource, TooManyElements."""
        steps_of = StepsReader()
        listed = [(steps_of(element), element) for element in self._differential]
        for steps, _ in listed:
            self._names.setdefault(tuple(steps[:-1]), set()).update(name for name, _ in steps[-1:])
        root = self._tree.root.element.get("path")
        for index, (steps, element) in enumerate(listed):
            place = f"{_DIFFERENTIAL}.element[{index}]"
            if str(element.get("path")).partition(".")[0] != root:
                self._add("invalid", f"the path must begin with {root}", place + ".path")
                continue
            node = self._reached(steps, element, place)
            if node is not None:
                problems: list[Issue] = []
                node.element = merged(node.element, element, place, problems)
                self._issues += problems
            if len(self._issues) >= _MAX_ISSUES:
                break
        if self._issues:
            raise InvalidResource(self._issues[:_MAX_ISSUES])
        return self._tree.elements()

    def _add(self, code: str, diagnostics: str, place: str) -> None:
        self._issues.append(Issue("error", code, diagnostics, (place,)))

    def _reached(self, steps: list[Step], change: Json, place: str) -> Node | None:
        """The element at the end of these steps, to be changed. A slice that was not there before is made."""
        if len(steps) > _DEEPEST:
            self._add("too-costly", f"it is more than {_DEEPEST} elements deep", place + ".path")
            return None
        node = self._tree.root
        for depth, (name, slice_name) in enumerate(steps):
            if not node.children:
                self._open(node)
            child = node.children.get(name)
            if child is None:
                choice = _choice(node, name)
                if choice is None:
                    path = ".".join([str(node.element.get("path")), name])
                    self._add("not-found", f"{path} is not an element of {self._base.get('url')}", place + ".path")
                    return None
                child, type_code = choice
                if slice_name is None and name not in child.slices and self._is_only(steps[:depth], name, type_code):
                    child.element = narrowed(child.element, type_code)
                else:
                    slice_name = slice_name or name
                    is_new = slice_name not in child.slices
                    if is_new and depth == len(steps) - 1 and change.get("min"):
                        child.element = narrowed(child.element, type_code) | {"min": 1, "slicing": _BY_TYPE_ALONE}
            if slice_name is not None:
                slice_ = child.slices.get(slice_name)
                if slice_ is None:
                    slice_ = self._slice(child, name, slice_name)
                child = slice_
            node = child
        return node

    def _is_only(self, above: Sequence[Step], name: str, type_code: str) -> bool:
        """Whether a name such as `valueQuantity` stands for `value[x]`: within a slice, without others like it."""
        stem = name[: -len(type_code)]
        others = self._names.get(tuple(above), set()) - {name}
        is_in_slice = any(slice_name is not None for _, slice_name in above)
        return is_in_slice and not any(other.startswith(stem) and other[len(stem) :][:1].isupper() for other in others)

    def _slice(self, sliced: Node, name: str, slice_name: str) -> Node:
        """A new slice: as the element that is sliced, or the slice that is resliced, but optional."""
        outer = sliced.slices.get(slice_name.rpartition("/")[0], sliced)
        made = self._tree.copy(outer, with_slices=False)
        made.element = {key: value for key, value in made.element.items() if key != "slicing"}
        made.element |= {"sliceName": slice_name, "min": 0}
        type_code = _type_of_name(sliced, slice_name)
        if type_code is not None:
            made.element = narrowed(made.element, type_code)
        if "slicing" not in outer.element:
            if name in ("extension", "modifierExtension"):
                outer.element = outer.element | {"slicing": _BY_URL}
            elif name.endswith("[x]") or type_code is not None:
                outer.element = outer.element | {"slicing": _BY_TYPE}
        sliced.slices[slice_name] = made
        return made

    def _open(self, node: Node) -> None:
        """Give an element the children of its type, of the profile that its type has to follow, or of what it is
        defined like."""
        reference = node.element.get("contentReference")
        if isinstance(reference, str):
            source = self._tree.root
            for name in reference.partition("#")[2].split(".")[1:]:
                source = source.children.get(name, Node({}))
            copied = self._tree.copy(source)
            node.children = copied.children
            return
        for url in _definitions_of(node.element):
            found = self._snapshots.known(url)
            if found is not None:
                root = Tree.read(_elements(found, "snapshot")).root
                node.children = self._tree.copy(root).children
                return


def _choice(node: Node, name: str) -> tuple[Node, str] | None:
    """The choice element that a name such as `valueQuantity` is of, and the type."""
    for choice, child in node.children.items():
        if choice.endswith("[x]") and name.startswith(choice[:-3]):
            for type_ in child.element.get("type", ()):
                code = str(type_.get("code"))
                if name == choice[:-3] + code[:1].upper() + code[1:]:
                    return child, code
    return None


def _type_of_name(sliced: Node, slice_name: str) -> str | None:
    """The type of a slice of `value[x]` that is named `valueQuantity`."""
    path = str(sliced.element.get("path"))
    name = path.rpartition(".")[2]
    if not name.endswith("[x]"):
        return None
    for type_ in sliced.element.get("type", ()):
        code = str(type_.get("code"))
        if slice_name == name[:-3] + code[:1].upper() + code[1:]:
            return code
    return None


def _definitions_of(element: Json) -> Iterator[str]:
    """The canonical URLs of what says which children an element has, best first."""
    types = element.get("type", ())
    if len(types) == 1:
        profiles = types[0].get("profile", ())
        if len(profiles) == 1:
            yield str(profiles[0])
        code = str(types[0].get("code"))
        yield code if "/" in code else STRUCTURES + code
    elif types:
        yield STRUCTURES + "Element"


def _elements(structure: Json, part: str) -> list[Json]:
    listed = structure.get(part)
    elements = listed.get("element") if isinstance(listed, dict) else None
    return [item for item in elements if isinstance(item, dict)] if isinstance(elements, list) else []


def _invalid(code: str, diagnostics: str, place: str) -> InvalidResource:
    return InvalidResource([Issue("error", code, diagnostics, (place,))])
