"""Ways to break a resource in what only its profile says: read off the snapshot as it is published.

They know nothing of how the server checks.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

Json = dict[str, Any]
Structures = dict[str, Json]
Path = list[str | int]
Edit = Callable[[Json], str]
NONSENSE = {"system": "http://example.org/nonsense", "code": "nonsense"}
VALUES = {"Base64Binary": "AAAA", "Ratio": {"numerator": {"value": 1}, "denominator": {"value": 2}}, "Boolean": True}


@dataclass
class Mutation:
    """A way to break a resource: `edit` changes the object at `path`, and tells the rest of the place."""

    kind: str
    resource: Json
    path: Path
    edit: Edit

    def broken(self) -> tuple[Json, str]:
        """A broken copy, and the place where it is broken."""
        copy = deepcopy(self.resource)
        return copy, written(self.path) + self.edit(at(copy, self.path))


@dataclass
class Spot:
    """An ElementDefinition and an object of the resource that has, or lacks, the element. `path` leads to it.

    `targets` are the types that its References may lead to.
    """

    element: Json
    key: str
    path: Path
    targets: frozenset[str]


def written(path: Path) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def at(resource: Json, path: Path) -> Any:
    found: Any = resource
    for part in path[1:]:
        found = found[part]
    return found


def mutants(resource: Json, profile: Json, structures: Structures) -> Iterator[Mutation]:
    """All of them, each to be broken in one way."""
    for spot in _spots(resource, profile, structures):
        for kind, edits in KINDS.items():
            for edit in edits(at(resource, spot.path), spot):
                yield Mutation(kind, resource, spot.path, edit)
    for kind, path, edit in (*_slices(resource, profile), *_extensions(resource, structures)):
        yield Mutation(kind, resource, path, edit)


def _spots(resource: Json, profile: Json, structures: Structures) -> Iterator[Spot]:
    """Elements that are in no slice, with each object that they may be in."""
    for element in profile["snapshot"]["element"]:
        names = element["path"].split(".")[1:]
        if names and ":" not in element["id"]:
            for path in _objects(resource, [resource["resourceType"]], names[:-1]):
                yield Spot(element, names[-1], path, _targets(element, structures))


def _targets(element: Json, structures: Structures) -> frozenset[str]:
    given = [url for kind in element.get("type", ()) for url in kind.get("targetProfile", ())]
    urls = [url.partition("|")[0] for url in given]
    return frozenset(structures[url]["type"] if url in structures else url.rpartition("/")[2] for url in urls)


def _objects(value: Any, path: Path, names: list[str]) -> Iterator[Path]:
    if not names:
        if isinstance(value, dict):
            yield path
        return
    key = next((key for key in value if _is(key, names[0])), None) if isinstance(value, dict) else None
    if key is None:
        return
    found = value[key]
    for index, item in enumerate(found) if isinstance(found, list) else [(None, found)]:
        yield from _objects(item, [*path, key] if index is None else [*path, key, index], names[1:])


def _is(key: str, name: str) -> bool:
    if name.endswith("[x]"):
        return key.startswith(name[:-3]) and key[len(name) - 3 : len(name) - 2].isupper()
    return key == name


def _key(owner: Json, spot: Spot) -> str | None:
    return next((key for key in owner if _is(key, spot.key)), None)


def drop(owner: Json, spot: Spot) -> Iterator[Edit]:
    """An element that only the profile requires."""
    key = _key(owner, spot)
    if key is None or not spot.element["min"] or spot.element["base"]["min"]:
        return

    def edit(owner: Json) -> str:
        del owner[key]
        owner.pop("_" + key, None)
        return ""

    yield edit


def repeat(owner: Json, spot: Spot) -> Iterator[Edit]:
    """More than the profile allows."""
    key = _key(owner, spot)
    most = spot.element["max"]
    if key is None or most == "*" or spot.element["base"]["max"] != "*" or not isinstance(owner[key], list):
        return

    def edit(owner: Json) -> str:
        owner[key] = (owner[key] * (int(most) + 1))[: int(most) + 1]
        return f".{key}[{most}]"

    yield edit


def recode(owner: Json, spot: Spot) -> Iterator[Edit]:
    """Another code than the one that is fixed, or in the pattern."""
    key = _key(owner, spot)
    expected = next((value for name, value in spot.element.items() if name.startswith(("fixed", "pattern"))), None)
    if key is None or expected is None:
        return

    def edit(owner: Json) -> str:
        owner[key] = (
            {"coding": [NONSENSE]}
            if "coding" in (expected if isinstance(expected, dict) else ())
            else _other(owner[key])
        )
        return f".{key}"

    yield edit


def _other(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return {**NONSENSE} if isinstance(value, dict) else "nonsense"


def retype(owner: Json, spot: Spot) -> Iterator[Edit]:
    """A type that R4 allows for a choice, and the profile does not."""
    key = _key(owner, spot)
    allowed = {kind["code"].lower() for kind in spot.element.get("type", ())}
    if key is None or not spot.key.endswith("[x]"):
        return
    others = {
        "Boolean": True, "String": "x", "Integer": 1, "Time": "10:00:00", "DateTime": "2000-01-01",
        "Period": {"start": "2000-01-01"}, "Age": {"value": 1, "system": "http://unitsofmeasure.org", "code": "a"},
    }  # fmt: skip

    for name, value in others.items():
        if name.lower() not in allowed:

            def edit(owner: Json, name: str = name, value: Any = value) -> str:
                del owner[key]
                owner[spot.key[:-3] + name] = value
                return f".{spot.key[:-3]}{name}"

            yield edit


def redirect(owner: Json, spot: Spot) -> Iterator[Edit]:
    """A reference to a type that R4 allows, and the profile does not."""
    key = _key(owner, spot)
    if key is None or not spot.targets or "Resource" in spot.targets:
        return
    item = owner[key][0] if isinstance(owner[key], list) else owner[key]
    if not isinstance(item, dict) or "reference" not in item:
        return
    for target in ("Group", "Device", "Location", "Organization", "PractitionerRole", "RelatedPerson", "Practitioner",
                   "Patient", "Observation", "DocumentReference"):  # fmt: skip
        if target in spot.targets:
            continue

        def edit(owner: Json, target: str = target) -> str:
            reference = {"reference": f"{target}/elsewhere"}
            is_list = isinstance(owner[key], list)
            owner[key] = [reference] if is_list else reference
            return f".{key}[0]" if is_list else f".{key}"

        yield edit


def unbind(owner: Json, spot: Spot) -> Iterator[Edit]:
    """A code that is in no value set, where only the profile requires one."""
    key = _key(owner, spot)
    if key is None or spot.element.get("binding", {}).get("strength") != "required":
        return

    def edit(owner: Json) -> str:
        value = owner[key]
        item = value[0] if isinstance(value, list) else value
        if isinstance(item, dict):
            broken: Any = {"coding": [NONSENSE]} if "coding" in item else {**item, **NONSENSE}
        else:
            broken = "nonsense"
        owner[key] = [broken] if isinstance(value, list) else broken
        return f".{key}[0]" if isinstance(value, list) else f".{key}"

    yield edit


KINDS: dict[str, Callable[[Json, Spot], Iterator[Edit]]] = {
    "drop what is required": drop,
    "more than allowed": repeat,
    "another fixed value": recode,
    "another type": retype,
    "another target": redirect,
    "another code": unbind,
}


def _slices(resource: Json, profile: Json) -> Iterator[tuple[str, Path, Edit]]:
    """Without a slice that is required: known by its pattern; and with one too many of a slice."""
    elements = {element["id"]: element for element in profile["snapshot"]["element"]}
    for id, element in elements.items():
        parts = id.split(".")
        name = parts[-1].partition(":")[0]
        items = resource.get(name)
        if "sliceName" not in element or len(parts) != 2 or not isinstance(items, list) or name == "extension":
            continue
        members = [index for index, item in enumerate(items) if _is_member(item, id, elements)]
        if members and element["min"]:
            yield "no slice", [resource["resourceType"]], partial(_without, name=name, members=members)
        if members and element["max"] == "1":
            yield "a slice too many", [resource["resourceType"]], partial(_with_another, name=name, index=members[0])


def _without(owner: Json, *, name: str, members: list[int]) -> str:
    items = owner[name]
    owner[name] = [item for index, item in enumerate(items) if index not in members] or [_strange(items[0])]
    return f".{name}"


def _with_another(owner: Json, *, name: str, index: int) -> str:
    owner[name].append(deepcopy(owner[name][index]))
    return f".{name}[{len(owner[name]) - 1}]"


def _strange(item: Json) -> Json:
    """The same item, but of no slice."""
    found = deepcopy(item)
    for key in ("code", "coding", "system"):
        if key in found:
            found[key] = {"coding": [NONSENSE]} if key == "code" else [NONSENSE] if key == "coding" else "s:s"
    return found


def _is_member(item: Json, id: str, elements: dict[str, Json]) -> bool:
    own = {key: value for key, value in elements[id].items() if key.startswith("pattern")}
    if own:
        return all(_has(value, item) for value in own.values())
    wanted = {
        part: value
        for part in ("code", "coding.code", "coding.system", "type", "system")
        for key, value in elements.get(f"{id}.{part}", {}).items()
        if key.startswith(("pattern", "fixed"))
    }
    return bool(wanted) and all(_any_has(value, item, part.split(".")) for part, value in wanted.items())


def _any_has(pattern: Any, value: Any, names: list[str]) -> bool:
    if isinstance(value, list):
        return any(_any_has(pattern, item, names) for item in value)
    if not names:
        return _has(pattern, value)
    return isinstance(value, dict) and names[0] in value and _any_has(pattern, value[names[0]], names[1:])


def _has(pattern: Any, value: Any) -> bool:
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(key in value and _has(item, value[key]) for key, item in pattern.items())
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(_has(item, other) for other in value) for item in pattern)
    return bool(pattern == value)


def _extensions(resource: Json, structures: Structures) -> Iterator[tuple[str, Path, Edit]]:
    """Of extensions with a known definition: a value of another type, a part less, one twice, one at another place."""
    for path in _paths_of_extensions(resource, [resource["resourceType"]]):
        extension = at(resource, path)
        definition = structures.get(extension.get("url", ""))
        if definition is None:
            continue
        elements = {element["id"]: element for element in definition["snapshot"]["element"]}
        allowed = {kind["code"].lower() for kind in elements["Extension.value[x]"].get("type", ())}
        if any(key.startswith("value") for key in extension):
            name = next(name for name in VALUES if name.lower() not in allowed)
            yield "an extension's value", path, partial(_with_value, name=name)
        parts = extension.get("extension", ())
        for id, element in elements.items():
            if not id.startswith("Extension.extension:") or id.count(".") != 1:
                continue
            url = elements[id + ".url"]["fixedUri"]
            members = [index for index, part in enumerate(parts) if part.get("url") == url]
            if members and element["min"] and len(parts) > len(members):
                yield "an extension's part", path, partial(_without, name="extension", members=members)
            if members and element["max"] == "1":
                yield "an extension's part twice", path, partial(_with_another, name="extension", index=members[0])
        contexts = {context["expression"] for context in definition.get("context", ())}
        if resource["resourceType"] in contexts and len(path) == 3:
            yield "an extension's place", path[:1], partial(_moved, index=int(path[-1]))


def _with_value(owner: Json, *, name: str) -> str:
    del owner[next(key for key in owner if key.startswith("value"))]
    owner["value" + name] = VALUES[name]
    return f".value{name}"


def _moved(owner: Json, *, index: int) -> str:
    moved = owner["extension"].pop(index)
    if not owner["extension"]:
        del owner["extension"]
    owner.setdefault("meta", {})["extension"] = [moved]
    return ".meta.extension[0]"


def _paths_of_extensions(value: Any, path: Path) -> Iterator[Path]:
    for key, found in value.items():
        for index, item in enumerate(found) if isinstance(found, list) else [(None, found)]:
            if isinstance(item, dict) and "resourceType" not in item and not key.startswith("_"):
                below = [*path, key] if index is None else [*path, key, index]
                if key == "extension":
                    yield below
                yield from _paths_of_extensions(item, below)
