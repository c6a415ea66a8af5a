"""Ways to break a valid resource, each in one place that is known."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fhirserver.fhir.definitions import Definitions, Property

Undo = Callable[[], None]

_DATES = frozenset({"date", "dateTime", "instant", "time"})
_STRINGS = frozenset({"string", "markdown"})
_WHOLE = frozenset({"integer", "positiveInt", "unsignedInt"})


@dataclass(frozen=True, slots=True)
class Spot:
    """A property of an object in a resource; `place` is that of the object."""

    owner: dict[str, Any]
    name: str
    known: Property
    owner_type: str
    place: str

    @property
    def value(self) -> Any:
        return self.owner[self.name]

    @property
    def type_code(self) -> str:
        return self.known.type_code

    @property
    def is_list(self) -> bool:
        return self.known.element.is_list

    @property
    def first(self) -> Any:
        """The value, or the first of them."""
        return self.value[0] if self.is_list else self.value

    @property
    def own_place(self) -> str:
        return f"{self.place}.{self.name}"

    def put(self, value: Any) -> Undo:
        """Give the property another value."""
        before = self.value
        self.owner[self.name] = value
        return lambda: self.owner.__setitem__(self.name, before)

    def put_first(self, value: Any) -> Undo:
        """Give it another value in the place of the first one."""
        return self.put([value, *self.value[1:]] if self.is_list else value)


def spots(resource: dict[str, Any], definitions: Definitions) -> Iterator[Spot]:
    """All properties with a value in a resource that the definitions know."""
    yield from _of_object(resource, resource["resourceType"], resource["resourceType"], definitions)


def _of_object(value: dict[str, Any], type_name: str, place: str, definitions: Definitions) -> Iterator[Spot]:
    properties = definitions.type(type_name).properties
    for name, item in list(value.items()):
        known = properties.get(name)
        if known is None or item in (None, [], [None]):
            continue
        yield Spot(value, name, known, type_name, place)
        for index, part in enumerate(item) if isinstance(item, list) else ((None, item),):
            if isinstance(part, dict):
                below = f"{place}.{name}" if index is None else f"{place}.{name}[{index}]"
                part_type = part["resourceType"] if known.type_code == "Resource" else known.type_code
                yield from _of_object(part, part_type, below, definitions)


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to break: where it can be done, how, and at which place that has to be told."""

    name: str
    fits: Callable[[Spot], object]
    break_it: Callable[[Spot], Undo]
    place: Callable[[Spot], str] = lambda spot: spot.own_place


def _drop(spot: Spot) -> Undo:
    items = list(spot.owner.items())
    del spot.owner[spot.name]

    def undo() -> None:
        spot.owner.clear()
        spot.owner.update(items)

    return undo


def _add(name: str, value: Any) -> Callable[[Spot], Undo]:
    def add(spot: Spot) -> Undo:
        spot.owner[name] = value
        return lambda: spot.owner.pop(name)

    return add


def _other_choice(spot: Spot) -> str:
    """The property of another type of a choice element."""
    base = spot.known.element.name
    names = (base + type_.code[0].upper() + type_.code[1:] for type_ in spot.known.element.types)
    return next(name for name in names if name != spot.name)


def _is_object(spot: Spot) -> bool:
    return isinstance(spot.first, dict)


def _is_string(spot: Spot) -> bool:
    return isinstance(spot.first, str)


def _of_types(*codes: str) -> Callable[[Spot], bool]:
    return lambda spot: spot.type_code in codes and spot.first is not None


def _is_required(spot: Spot) -> bool:
    return spot.known.element.min > 0 and "_" + spot.name not in spot.owner


def _has_codes(definitions: Definitions) -> Callable[[Spot], bool]:
    def has_codes(spot: Spot) -> bool:
        binding = spot.known.element.binding
        if binding is None or binding.strength != "required" or spot.type_code != "code":
            return False
        return spot.first is not None and definitions.value_set_codes(binding.value_set) is not None

    return has_codes


def _is_narrow(spot: Spot) -> bool:
    """A Reference that may not lead to everything."""
    targets = {target for type_ in spot.known.element.types for target in type_.target_types}
    return spot.type_code == "Reference" and bool(targets) and not targets & {"Resource", "TestReport"}


def _reference(text: str) -> Callable[[Spot], Undo]:
    return lambda spot: spot.put_first({"reference": text})


def _below(suffix: str) -> Callable[[Spot], str]:
    return lambda spot: f"{spot.own_place}{'[0]' if spot.is_list else ''}{suffix}"


def _is_outermost(spot: Spot) -> bool:
    return "." not in spot.place


_SCRIPT = '<div xmlns="http://www.w3.org/1999/xhtml"><script>alert(1)</script></div>'
_HANDLER = '<div xmlns="http://www.w3.org/1999/xhtml"><p onclick="alert(1)">x</p></div>'


def kinds(definitions: Definitions) -> tuple[Kind, ...]:
    """All ways to break a resource."""
    own = Kind
    return (
        own("drop a required element", _is_required, _drop, lambda spot: spot.place),
        own("an unknown element", lambda spot: True, _add("unknownElement", "x"), lambda s: f"{s.place}.unknownElement"),
        own("a string for an object", _is_object, lambda spot: spot.put_first("x")),
        own("an object for a primitive", lambda spot: not _is_object(spot), lambda spot: spot.put_first({"x": "y"})),
        own("a number for a string", _is_string, lambda spot: spot.put_first(5)),
        own("a string for a boolean", _of_types("boolean"), lambda spot: spot.put_first("true")),
        own("a string for a number", _of_types("decimal", *_WHOLE), lambda spot: spot.put_first("1")),
        own("a fraction for an integer", _of_types(*_WHOLE), lambda spot: spot.put_first(1.5)),
        own("too large an integer", _of_types(*_WHOLE), lambda spot: spot.put_first(2**31)),
        own("too small an integer", _of_types("positiveInt", "unsignedInt"), lambda spot: spot.put_first(-1)),
        own("too many", lambda spot: not spot.is_list, lambda spot: spot.put([spot.value, spot.value])),
        own("one for many", lambda spot: spot.is_list, lambda spot: spot.put(spot.first)),
        own("an empty array", lambda spot: spot.is_list, lambda spot: spot.put([])),
        own("an empty object", _is_object, lambda spot: spot.put_first({})),
        own("an object with an id alone", lambda spot: _is_object(spot) and spot.type_code != "Resource",
            lambda spot: spot.put_first({"id": "x"})),
        own("an empty string", _is_string, lambda spot: spot.put_first("")),
        own("null", lambda spot: "_" + spot.name not in spot.owner, lambda spot: spot.put_first(None)),
        own("a control character", _of_types(*_STRINGS), lambda spot: spot.put_first("a\x01b")),
        own("a code that is not in the value set", _has_codes(definitions), lambda spot: spot.put_first("no-such-code")),
        own("a code with blanks around", _of_types("code"), lambda spot: spot.put_first(" x ")),
        own("a date that does not exist", _of_types("date", "dateTime"), lambda spot: spot.put_first("2023-02-30")),
        own("a time without a zone", _of_types("dateTime", "instant"), lambda s: s.put_first("2023-02-03T10:11:12")),
        own("no date", _of_types(*_DATES), lambda spot: spot.put_first("yesterday")),
        own("bad base64", _of_types("base64Binary"), lambda spot: spot.put_first("###")),
        own("a URI with blanks", _of_types("uri", "url", "canonical"), lambda spot: spot.put_first("http://a b")),
        own("no id", _of_types("id"), lambda spot: spot.put_first("a_b")),
        own("a script in a narrative", _of_types("xhtml"), lambda spot: spot.put_first(_SCRIPT)),
        own("an event handler in a narrative", _of_types("xhtml"), lambda spot: spot.put_first(_HANDLER)),
        own("a narrative that is no XML", _of_types("xhtml"), lambda spot: spot.put_first("<div>&nbsp;<br></div>")),
        own("a reference to a wrong type", _is_narrow, _reference("TestReport/1"), _below(".reference")),
        own("a reference to no type", _of_types("Reference"), _reference("Nothing/1"), _below(".reference")),
        own("a reference that is none", _of_types("Reference"), _reference("not a reference"), _below(".reference")),
        own("a reference to nothing contained", _of_types("Reference"), _reference("#nothing"), _below(".reference")),
        own("two types at once", lambda s: s.known.element.is_choice and len(s.known.element.types) > 1,
            lambda spot: _add(_other_choice(spot), {"id": "x"})(spot),
            lambda spot: f"{spot.place}.{min(spot.name, _other_choice(spot))}"),
        own("a choice without a type", lambda spot: spot.known.element.is_choice,
            lambda spot: _add(spot.known.element.name, "x")(spot), lambda s: f"{s.place}.{s.known.element.name}"),
        own("an extension without a URL", lambda spot: spot.name == "extension",
            lambda spot: spot.put_first({"valueString": "x"})),
        own("an extension with nothing", lambda spot: spot.name == "extension",
            lambda spot: spot.put_first({"url": "http://x"})),
        own("an extension with both", lambda spot: spot.name == "extension",
            lambda spot: spot.put_first({"url": "http://x", "valueCode": "a", "extension": [{"url": "b", "valueCode": "c"}]})),
        own("a resource that there is not", _of_types("Resource"),
            lambda spot: spot.put_first({"resourceType": "Nothing", "id": "x"})),
        own("a contained resource without an id", lambda spot: spot.name == "contained",
            lambda spot: spot.put([*spot.value, {"resourceType": "Basic", "code": {"text": "x"}}])),
        own("a contained resource that nothing refers to", lambda spot: spot.name == "contained",
            lambda spot: spot.put([*spot.value, {"resourceType": "Basic", "id": "alone", "code": {"text": "x"}}])),
        own("a period that ends before it starts", _of_types("Period"),
            lambda spot: spot.put_first({"start": "2024-02-01", "end": "2024-01-01"})),
        own("a unit without its system", _of_types("Quantity"), lambda spot: spot.put_first({"value": 1, "code": "mg"})),
    )  # fmt: skip
