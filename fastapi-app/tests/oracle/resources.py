"""Resources made at random by what the definitions say of their elements, with values that meet often.

Elements are those that a type must have, and those that its search parameters look at.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.definitions.elements import Element, ElementType
from fhirserver.fhir.resource_json import Number

from .quantities import UCUM
from .references import BASE

SYSTEMS = ("http://loinc.org", "http://snomed.info/sct", "urn:oid:1.2.3", None)
CODES = ("a", "B", "b", "8480-6", "c|d", "x,y")
WORDS = (
    "Ana", "ana", "Ána", "García", "GARCIA", "García Lorca", "Garc", "O'Neil", "Straße", "Strasse", "Zoë", "100%",
    "a_b", "axb", "back\\slash", "one, two", "x|y", "x$y", "Peter", "peters", ".*", "Ångström",
)  # fmt: skip
TOLD = ("bone", "Bones", "liver", "Metastases", "of the liver", "metastásis", "<b>bo</b>ne", "x-ray", "a &lt; b")
URIS = ("http://here/a", "http://here/a/b", "http://here/a/b/c", "http://here/ab", "urn:oid:1.2.3", "urn:oid:1.2.3.4")
VERSIONS = ("", "|1", "|1.1", "|2")
NUMBERS = (
    "0", "0.5", "0.45", "0.55", "0.54", "1", "1.0", "5", "5.0", "5.04", "5.05", "5.4", "5.40", "5.44", "5.45", "5.5",
    "99.5", "100", "100.00", "100.4", "100.5", "105", "95", "110", "-5", "1000", "5000", "0.005",
)  # fmt: skip
PLACES = (
    ("42.25", "-83.69"), ("42.26", "-83.7"), ("42.5", "-83"), ("40", "-3.7"), ("0", "179.99"), ("0", "-179.99"),
    ("89.99", "0"), ("89.99", "180"), ("-33.9", "151.2"),
)  # fmt: skip
"""Latitudes and longitudes: near each other, across the date line, around the pole, far away."""
DATES = (
    "2012", "2012-12", "2012-12-31", "2013", "2013-01", "2013-01-01", "2013-01-13", "2013-01-14", "2013-01-15",
    "2013-02", "2014", "1969-12-31", "2016-02-29", "2026-01-30",
)  # fmt: skip
TIMES = (
    "2012-12-31T23:59:59Z", "2013-01-01T00:00:00Z", "2013-01-14T00:00:00Z", "2013-01-14T10:00:00Z",
    "2013-01-14T10:00:00.5Z", "2013-01-14T10:00:59Z", "2013-01-14T23:59:59.999Z", "2013-01-15T00:00:00Z",
    "2013-01-14T23:30:00-05:00", "2013-01-15T00:30:00+05:30", "1969-12-31T23:59:59Z", "2026-01-30T12:00:00Z",
)  # fmt: skip
UNITS: tuple[dict[str, str], ...] = (
    {"system": UCUM, "code": "mg", "unit": "mg"},
    {"system": UCUM, "code": "g", "unit": "gram"},
    {"system": UCUM, "code": "kg"},
    {"system": "http://snomed.info/sct", "code": "mg", "unit": "tablet"},
    {"unit": "mg"},
    {},
)

# Their elements are made one by one, as those of resources are.
_STRUCTURES = ("BackboneElement", "UsageContext", "Dosage")


class Maker:
    """Makes resources. `addresses` are the (type, id) that references may lead to."""

    def __init__(self, definitions: Definitions, random: Random):
        self._definitions = definitions
        self._random = random
        self.addresses: list[tuple[str, str]] = []
        self._wanted: set[str] = set()

    def resource(self, resource_type: str, tags: Sequence[dict[str, str]]) -> dict[str, Any]:
        """A resource of a type, with these tags."""
        parameters = self._definitions.search_parameters(resource_type).values()
        self._wanted = {path for item in parameters for path in _paths(item.expression or "")}
        self._wanted |= {
            path
            for item in parameters
            for part in item.components
            for path in _paths(f"{item.expression}.{part.expression}")
        }
        made = {"resourceType": resource_type, "meta": self._meta(tags), **self._elements(resource_type, resource_type)}
        if self._chance(0.4):
            made["text"] = {"status": "generated", "div": self._narrative()}
        return {name: value for name, value in made.items() if value not in ([], {})}

    def _meta(self, tags: Sequence[dict[str, str]]) -> dict[str, Any]:
        meta: dict[str, Any] = {"tag": [*tags, *self._some(self.Coding, 0.4)]}
        for name, pool in (("profile", self.canonical), ("security", self.Coding)):
            if found := self._some(pool, 0.3):
                meta[name] = found
        if self._chance(0.3):
            meta["source"] = self.uri()
        return meta

    def _narrative(self) -> str:
        told = f" {self._pick(('and', '&amp;', '<br/>'))} ".join(
            self._pick(TOLD) for _ in range(self._pick((1, 2, 3, 5)))
        )
        return f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{told}</p></div>'

    def _some(self, make: Callable[[], Any], chance: float) -> list[Any]:
        return [make() for _ in range(self._random.choice((1, 1, 2)))] if self._chance(chance) else []

    def _chance(self, chance: float) -> bool:
        return self._random.random() < chance

    def _pick(self, pool: Sequence[Any]) -> Any:
        return self._random.choice(pool)

    def _elements(self, type_name: str, path_so_far: str) -> dict[str, Any]:
        """The elements of a resource, or of a part of one that is at a path."""
        made: dict[str, Any] = {}
        for element in self._definitions.type(type_name).elements.values():
            path = f"{path_so_far}.{element.name}"
            wanted = any(f"{item}.".startswith(f"{path}.") for item in self._wanted)
            if element.min == 0 and not (wanted and self._chance(0.6)):
                continue
            if element.name in ("id", "meta", "extension", "modifierExtension", "contained") or element.max == 0:
                continue
            type_ = self._type(element)
            if type_ is None:
                continue
            name = element.name + (type_.code[0].upper() + type_.code[1:] if element.is_choice else "")
            count = self._pick((1, 1, 2, 3)) if element.is_list else 1
            values = [value for value in (self._value(element, type_, path) for _ in range(count)) if value is not None]
            if values:
                made[name] = values if element.is_list else values[0]
        if "dataAbsentReason" in made and any(name.startswith("value") for name in made):
            del made["dataAbsentReason"]
        return made

    def _type(self, element: Element) -> ElementType | None:
        known = [item for item in element.types if hasattr(self, item.code) or item.code in _STRUCTURES]
        return self._pick(known) if known else None

    def _value(self, element: Element, type_: ElementType, path: str) -> Any:
        if path == "Location.position":
            return dict(zip(("latitude", "longitude"), map(Number, self._pick(PLACES)), strict=True))
        if type_.code in _STRUCTURES:
            return self._elements(element.path if type_.code == "BackboneElement" else type_.code, path) or None
        if type_.code == "Reference":
            return self.Reference(type_.target_types)
        listed = self._bound(element)
        if listed and type_.code == "code":
            return self._pick(listed)[1]
        if listed and type_.code in ("Coding", "CodeableConcept"):
            coding = dict(zip(("system", "code"), self._pick(listed), strict=True))
            return coding if type_.code == "Coding" else {"coding": [coding]}
        return getattr(self, type_.code)()

    def _bound(self, element: Element) -> list[tuple[str, str]]:
        """The first codes of a required binding, with their systems."""
        if element.binding is None or element.binding.strength != "required":
            return []
        codes: Mapping[str, frozenset[str]] = self._definitions.value_set_codes(element.binding.value_set) or {}
        return sorted((system, code) for system, listed in codes.items() for code in listed)[:3]

    # Values of the data types, named as these are.

    def boolean(self) -> bool:
        return self._chance(0.5)

    def string(self) -> str:
        return str(self._pick(WORDS))

    markdown = string

    def code(self) -> str:
        return str(self._pick(("en", "es")))

    def uri(self) -> str:
        return str(self._pick(URIS))

    url = uri

    def canonical(self) -> str:
        return self.uri() + str(self._pick(VERSIONS))

    def integer(self) -> int:
        return int(self._pick((0, 1, 2, 5, 100)))

    unsignedInt = integer

    def positiveInt(self) -> int:
        return self.integer() + 1

    def decimal(self) -> Number:
        return Number(self._pick(NUMBERS))

    def date(self) -> str:
        return str(self._pick(DATES))

    def dateTime(self) -> str:
        return str(self._pick(DATES + TIMES))

    def instant(self) -> str:
        return str(self._pick(TIMES))

    def Period(self) -> dict[str, str]:
        start, end = sorted((self.dateTime(), self.dateTime()))
        return self._pick(({"start": start, "end": end}, {"start": start}, {"end": end}))

    def Timing(self) -> dict[str, Any]:
        events = [self.dateTime() for _ in range(self._pick((1, 2, 3)))]
        return self._pick(({"event": events}, {"repeat": {"boundsPeriod": self.Period()}}))

    def Coding(self) -> dict[str, str]:
        system = self._pick(SYSTEMS)
        display = {"display": self.string()} if self._chance(0.2) else {}
        return {"code": self._pick(CODES)} | ({"system": system} if system else {}) | display

    def CodeableConcept(self) -> dict[str, Any]:
        return self._pick(
            ({"coding": [self.Coding()]}, {"coding": [self.Coding(), self.Coding()]}, {"text": self.string()})
        )

    def Identifier(self) -> dict[str, Any]:
        system = self._pick(SYSTEMS)
        kind = {"type": self.CodeableConcept()} if self._chance(0.4) else {}
        return {"value": self._pick(CODES)} | ({"system": system} if system else {}) | kind

    def ContactPoint(self) -> dict[str, str]:
        return {"system": self._pick(("phone", "email")), "value": self._pick(("555 1234", "ana@here.org"))}

    def HumanName(self) -> dict[str, Any]:
        name = {"family": self.string(), "given": [self.string()], "text": self.string(), "prefix": [self.string()]}
        return {key: value for key, value in name.items() if key == "family" or self._chance(0.5)}

    def Address(self) -> dict[str, Any]:
        names = ("city", "state", "postalCode", "country", "district", "text")
        made: dict[str, Any] = {name: self.string() for name in names if self._chance(0.4)}
        return made | {"line": [self.string()], "use": self._pick(("home", "work"))}

    def Quantity(self) -> dict[str, Any]:
        comparator = self._pick(("<", "<=", ">", ">=")) if self._chance(0.15) else None
        return {"value": self.decimal(), **self._pick(UNITS)} | ({"comparator": comparator} if comparator else {})

    def Age(self) -> dict[str, Any]:
        return {"value": Number(self._pick(("1", "5.4", "70"))), "system": UCUM, "code": self._pick(("a", "mo"))}

    def Duration(self) -> dict[str, Any]:
        return {"value": Number(self._pick(("1", "1.5", "60"))), "system": UCUM, "code": self._pick(("h", "min"))}

    def Money(self) -> dict[str, Any]:
        return {"value": self.decimal(), "currency": self._pick(("EUR", "USD"))}

    def Range(self) -> dict[str, Any]:
        unit = self._pick(UNITS)
        low, high = sorted((self.decimal(), self.decimal()))
        ends = {"low": {"value": low, **unit}}, {"high": {"value": high, **unit}}
        return self._pick((ends[0], ends[1], ends[0] | ends[1]))

    def SampledData(self) -> dict[str, Any]:
        origin = {"value": self.decimal(), **self._pick(UNITS)}
        factor = {"factor": Number("0.5")} if self._chance(0.5) else {}
        return {
            "origin": origin,
            "period": 10,
            "dimensions": 1,
            "data": self._pick(("1 2 E", "0", "-10 U 190")),
        } | factor

    def Reference(self, target_types: Sequence[str]) -> dict[str, Any] | None:
        known = [item for item in self.addresses if item[0] in target_types or "Resource" in target_types]
        name, id = self._pick(known) if known and self._chance(0.85) else (self._pick(target_types), "nobody")
        forms: list[dict[str, Any]] = [{"reference": f"{name}/{id}"}] * 6
        forms += [{"reference": f"{BASE}/{name}/{id}"}, {"reference": f"{name}/{id}/_history/1"}]
        if name != "Resource":
            forms += [
                {"reference": f"http://elsewhere/fhir/{name}/{id}"},
                {"type": name, "identifier": self.Identifier()},
            ]
        return self._pick(forms) if name != "Resource" else {"identifier": self.Identifier()}


def _paths(expression: str) -> set[str]:
    """The paths of elements that an expression mentions."""
    functions = r"\.(?:where|as|exists|resolve|ofType)\b"
    return {re.split(functions, path)[0] for path in re.findall(r"[A-Z]\w+(?:\.[a-z]\w*)+", expression)}
