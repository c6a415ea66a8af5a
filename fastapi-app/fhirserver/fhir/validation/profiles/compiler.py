"""The elements of a profile → closures that check what it says beyond R4.

https://hl7.org/fhir/R4/elementdefinition.html
"""

from collections.abc import Callable, Sequence
from typing import Any

from fhirserver.fhir.definitions import Definitions, Element, TypeDefinition
from fhirserver.fhir.profiles.element_tree import Json, Node
from fhirserver.fhir.validation.profiles import facets
from fhirserver.fhir.validation.profiles.discriminators import Discriminators, Test, Tree, Unusable
from fhirserver.fhir.validation.profiles.facets import ANYTHING, Base, ValueSetContains, all_of, dicts, type_codes
from fhirserver.fhir.validation.profiles.items import Child, Item, child_of
from fhirserver.fhir.validation.profiles.references import references
from fhirserver.fhir.validation.profiles.run import ItemCheck, Run
from fhirserver.fhir.validation.profiles.slicing import DEFAULT, ItemsCheck, Slice, Slicing
from fhirserver.fhir.validation.report import Place

# Of an element in an object. Arguments: the object, its place, the run.
ChildCheck = Callable[[dict[str, Any], Place, Run], None]

_NOTHING = Node({})
_BY_URL: Json = {"discriminator": [{"type": "value", "path": "url"}], "rules": "open"}
_BY_TYPE: Json = {"discriminator": [{"type": "type", "path": "$this"}], "rules": "open"}


class Compiler:
    """Compiles one profile. `problems` tells afterwards what of it could not be."""

    def __init__(self, url: str, definitions: Definitions, contains: ValueSetContains, tree: Tree, *, is_full: bool):
        self.problems: list[str] = []
        self._url = url
        self._definitions = definitions
        self._contains = contains
        self._discriminators = Discriminators(definitions, contains, tree)
        self._is_full = is_full
        # The content of elements that others refer to (`contentReference`), once it is compiled.
        self._contents: dict[str, ItemCheck | None] = {}

    def compile(self, root: Node, type_code: str) -> ItemCheck | None:
        """The check of a value of this type; None if the profile says no more than R4."""
        definition = self._definitions.type(type_code)
        keys = frozenset(constraint.key for constraint in definition.constraints)
        element = {name: value for name, value in root.element.items() if name != "type"}
        base = Base(None, keys, {})
        return all_of([*self._facets(element, base, self._url), self._content(root, _NOTHING, [type_code], self._url)])

    def _facets(self, element: Json, base: Base, where: str) -> list[ItemCheck | None]:
        """What is said of each value by itself."""
        return [
            facets.types(element, base, where),
            facets.fixed_value(element, base, where),
            facets.profiles(element, base, where),
            references(element, base, where),
            facets.limits(element, base, where),
            *facets.bindings(element, base, self._contains, self._is_full, where),
            *facets.constraints(element, base, self._definitions, self._is_full, where),
        ]

    def _content(self, node: Node, like: Node, types: Sequence[str], where: str) -> ItemCheck | None:
        """What is said of the elements in values of these types. `like` is what the element is a slice of."""
        reference = node.element.get("contentReference")
        if type(reference) is str and reference.startswith("#") and not node.children:
            return self._referred(reference[1:])
        if not node.children:
            return None
        by_type = {code: found for code in types if (found := self._object(node, like, code, where)) is not None}
        if len(types) == 1 and types[0] not in ANYTHING:
            return by_type.get(types[0])
        general = by_type.get("DomainResource") or by_type.get("Resource")
        if general is None and not by_type:
            return None

        def check(item: Item, run: Run) -> None:
            found = by_type.get(item.type_code, general)
            if found is not None:
                found(item, run)

        return check

    def _referred(self, id: str) -> ItemCheck | None:
        if id in self._contents and self._contents[id] is None:
            return None
        contents = self._contents
        contents.setdefault(id, None)

        def check(item: Item, run: Run) -> None:
            found = contents.get(id)
            if found is not None:
                found(item, run)

        return check

    def _object(self, node: Node, like: Node, type_code: str, where: str) -> ItemCheck | None:
        try:
            definition = self._definitions.type(type_code)
        except KeyError:
            self._problem(where, f"there is no type {type_code[:80]}")
            return None
        checks = []
        for name, child in node.children.items():
            check = self._child(definition, name, child, like.children.get(name, _NOTHING), where)
            if check is not None:
                checks.append(check)
        id = node.element.get("id")
        found = _object_check(checks) if checks else None
        if like is _NOTHING and type(id) is str:
            self._contents[id] = found
        return found

    def _child(self, definition: TypeDefinition, name: str, node: Node, like: Node, where: str) -> ChildCheck | None:
        child = child_of(definition, name, self._definitions)
        if child is None:
            # Bare values have neither an id nor extensions.
            if name not in ("id", "extension", "value"):
                self._problem(where, f"{definition.name} has no element {name[:80]}")
            return None
        stem = name.removesuffix("[x]")
        element = definition.elements.get(stem)
        if element is None:
            element = definition.properties[name].element
        base = Base(element, self._keys(element, child.types), like.element)
        each = self._value(node, like, base, child, where)
        sliced = self._slicing(node, child, element, where)
        low, high = _min(node.element), _max(node.element)
        if low is not None and low <= max(element.min, _min(like.element) or 0):
            low = None
        if high is not None and _is_limited(high, element.max, _max(like.element)):
            high = None
        if each is None and sliced is None and low is None and high is None:
            return None
        return _child_check(child, name, each, sliced, low or 0, high, where)

    def _value(self, node: Node, like: Node, base: Base, child: Child, where: str) -> ItemCheck | None:
        """What is said of each value, and of what is in it."""
        own = type_codes(node.element)
        types = [code for code in child.types if code in own] if len(child.types) > 1 else list(child.types)
        if child.types == ("Resource",):
            types = sorted(own) or ["Resource"]
        content = self._content(node, like, types, where)
        return all_of([*self._facets(node.element, base, where), content])

    def _keys(self, element: Element, types: Sequence[str]) -> frozenset[str]:
        """Those of all constraints that R4 has for the values of an element."""
        keys = {constraint.key for constraint in element.constraints}
        for code in types:
            keys.update(constraint.key for constraint in self._definitions.type(code).constraints)
        return frozenset(keys)

    def _slicing(self, node: Node, child: Child, element: Element, where: str, name: str = "") -> ItemsCheck | None:
        """The check of the slices of an element or, if `name` is given, of those of the slice of this name."""
        prefix = f"{name}/" if name else ""
        own = {
            key: slice_
            for key, slice_ in node.slices.items()
            if key.startswith(prefix) and "/" not in key[len(prefix) :]
        }
        sliced = node.slices[name] if name else node
        slicing = sliced.element.get("slicing")
        if type(slicing) is not dict:
            if not own:
                return None
            slicing = _BY_TYPE if element.is_choice else _BY_URL if element.types[0].code == "Extension" else {}
        slices = []
        default = None
        for key, slice_ in own.items():
            made = self._slice(key, slice_, node, sliced, slicing, child, element, where)
            if key[len(prefix) :] == DEFAULT:
                default = made
            elif made is not None:
                slices.append(made)
        rules, is_ordered = str(slicing.get("rules")), slicing.get("ordered") is True
        if len(slices) < len(own) - (default is not None):
            # Which values are of the others can't be told.
            rules, default = "open", None
        return Slicing(tuple(slices), default, rules, is_ordered, where).compiled()

    def _slice(
        self,
        name: str,
        slice_: Node,
        node: Node,
        sliced: Node,
        slicing: Json,
        child: Child,
        element: Element,
        where: str,
    ) -> Slice | None:
        where = f"{where}, slice {element.name}:{name}"
        url = _url_of(slice_, slicing)
        test: Test
        if url is not None:
            test = _has_url(url)
        elif name.rpartition("/")[2] == DEFAULT:
            test = _always
        else:
            try:
                test = self._discriminators.test(dicts(slicing.get("discriminator")), slice_)
            except Unusable as problem:
                self._problem(where, str(problem))
                return None
        base = Base(element, self._keys(element, child.types), sliced.element)
        check = self._value(slice_, sliced, base, child, where)
        within = self._slicing(node, child, element, where, name)
        high = _max(slice_.element)
        return Slice(name, where, test, check, within, _min(slice_.element) or 0, high, url)

    def _problem(self, where: str, problem: str) -> None:
        self.problems.append(f"{problem} ({where})")


def _object_check(checks: Sequence[ChildCheck]) -> ItemCheck:
    def check(item: Item, run: Run) -> None:
        content = item.content
        if content is not None:
            for each in checks:
                each(content, item.place, run)

    return check


def _child_check(
    child: Child, name: str, each: ItemCheck | None, sliced: ItemsCheck | None, low: int, high: int | None, where: str
) -> ChildCheck:
    read, stem = child.read, name.removesuffix("[x]")

    def check(owner: dict[str, Any], place: Place, run: Run) -> None:
        items = read(owner, place)
        if len(items) < low:
            missing = f"{name} is missing" if not items else f"There must be {low} {name} or more"
            run.report.add("required", f"{missing} ({where})", (place, stem, None) if items else place)
        if high is not None and len(items) > high:
            problem = f"There must be at most {high} {name}" if high else f"{name} must not be here"
            run.report.add("structure", f"{problem} ({where})", items[high].place)
        if each is not None:
            for item in items:
                each(item, run)
        if sliced is not None:
            sliced(items, (place, stem, None), run)

    return check


def _has_url(url: str) -> Test:
    return lambda item, run: type(item.value) is dict and item.value.get("url") == url


def _always(item: Item, run: Run) -> bool:
    return True


def _min(element: Json) -> int | None:
    low = element.get("min")
    return low if type(low) is int else None


def _max(element: Json) -> int | None:
    """The number that there may be; None for any."""
    high = element.get("max")
    return int(high) if type(high) is str and high.isascii() and high.isdigit() and len(high) < 10 else None


def _is_limited(high: int, *others: int | None) -> bool:
    """Whether one of the others allows no more."""
    return any(other is not None and other <= high for other in others)


def _url_of(slice_: Node, slicing: Json) -> str | None:
    """The url of the extensions of a slice that is told by it."""
    discriminators = dicts(slicing.get("discriminator"))
    if [(item.get("type"), item.get("path")) for item in discriminators] != [("value", "url")]:
        return None
    fixed = facets.value_of(slice_.children.get("url", _NOTHING).element, "fixed")
    urls = [url for kind in dicts(slice_.element.get("type")) for url in facets.listed(kind.get("profile"))]
    found = fixed if fixed is not None else urls[0] if len(urls) == 1 else None
    return found.partition("|")[0] if type(found) is str else None
