"""Translation by concept maps.

https://hl7.org/fhir/R4/conceptmap.html and https://hl7.org/fhir/R4/conceptmap-operation-translate.html
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fhirserver.fhir.terminology.compose import canonical
from fhirserver.fhir.terminology.concepts import Json, objects

_INVERSE = {
    "wider": "narrower",
    "narrower": "wider",
    "subsumes": "specializes",
    "specializes": "subsumes",
}
_NO_MATCH = frozenset(("unmatched", "disjoint"))
_MOST_MAPS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslationRequest:
    """Translate one of `codings`, by a map (canonical URL or resource) or by all that fit.

    `source` and `target` are value sets, `target_system` a code system; in a `reverse` translation they change sides.
    `dependencies`: what the codes of other elements are, by the element's URI.
    """

    codings: Sequence[Json]
    concept_map: str | Json | None = None
    source: str | None = None
    target: str | None = None
    target_system: str | None = None
    reverse: bool = False
    dependencies: Mapping[str, Sequence[Json]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """A translation: `equivalence` says how near it is, `source` which map has it, `products` what else results."""

    equivalence: str
    concept: Json | None
    source: str | None
    products: Sequence[Json] = ()

    @property
    def is_acceptable(self) -> bool:
        """Whether it is a translation, and not the statement that there is none."""
        return self.equivalence not in _NO_MATCH


def fits(concept_map: Json, request: TranslationRequest) -> bool:
    """Whether the map is from the source to the target that are asked for, as far as it says from where to where."""
    source, target = _side(concept_map, "source"), _side(concept_map, "target")
    if request.reverse:
        source, target = target, source
    return (request.source is None or source is None or _same(source, request.source)) and (
        request.target is None or target is None or _same(target, request.target)
    )


def translations(concept_map: Json, request: TranslationRequest, others: Mapping[str, Json]) -> list[Match]:
    """What the map makes of the codings. `others` are the maps it refers to for what it lacks, by canonical URL."""
    found = [match for coding in request.codings for match in _of_map(concept_map, coding, request, others, _MOST_MAPS)]
    return [match for place, match in enumerate(found) if match not in found[:place]]


def other_maps(concept_map: Json) -> list[str]:
    """The canonicals of the maps to ask for what this one lacks."""
    unmapped = [group.get("unmapped") for group in objects(concept_map.get("group"))]
    return [
        str(item["url"])
        for item in unmapped
        if isinstance(item, dict) and item.get("mode") == "other-map" and "url" in item
    ]


def _of_map(
    concept_map: Json, coding: Json, request: TranslationRequest, others: Mapping[str, Json], depth: int
) -> Iterator[Match]:
    here, there = ("target", "source") if request.reverse else ("source", "target")
    for group in objects(concept_map.get("group")):
        if group.get(here) not in (None, coding.get("system")):
            continue
        if request.target_system is not None and group.get(there) != request.target_system:
            continue
        version = group.get(f"{here}Version")
        if None not in (version, coding.get("version")) and version != coding["version"]:
            continue
        found = list(_backward(group, coding) if request.reverse else _forward(group, coding, request))
        if not found and not request.reverse:
            found = list(_unmapped(group, coding, request, others, depth))
        url = concept_map.get("url")
        yield from (Match(item.equivalence, item.concept, item.source or url, item.products) for item in found)


def _forward(group: Json, coding: Json, request: TranslationRequest) -> Iterator[Match]:
    for element in objects(group.get("element")):
        if element.get("code") != coding.get("code"):
            continue
        for target in objects(element.get("target")):
            if all(_is_given(item, request) for item in objects(target.get("dependsOn"))):
                yield Match(
                    str(target.get("equivalence", "relatedto")),
                    _coding(group, "target", target),
                    None,
                    objects(target.get("product")),
                )


def _backward(group: Json, coding: Json) -> Iterator[Match]:
    for element in objects(group.get("element")):
        for target in objects(element.get("target")):
            if target.get("code") == coding.get("code"):
                equivalence = str(target.get("equivalence", "relatedto"))
                yield Match(_INVERSE.get(equivalence, equivalence), _coding(group, "source", element), None)


def _unmapped(
    group: Json, coding: Json, request: TranslationRequest, others: Mapping[str, Json], depth: int
) -> Iterator[Match]:
    """What the map says of codes that it doesn't list: the same code, one for all of them, or another map."""
    unmapped = group.get("unmapped")
    if not isinstance(unmapped, dict):
        return
    mode = unmapped.get("mode")
    if mode == "provided":
        yield Match("equal", _coding(group, "target", coding), None)
    elif mode == "fixed":
        yield Match("inexact", _coding(group, "target", unmapped), None)
    elif mode == "other-map" and depth > 0:
        other = others.get(str(unmapped.get("url")))
        if other is not None:
            yield from _of_map(other, coding, request, others, depth - 1)


def _coding(group: Json, side: str, item: Json) -> Json | None:
    if "code" not in item:
        return None
    made = {
        "system": group.get(side),
        "version": group.get(f"{side}Version"),
        "code": item["code"],
        "display": item.get("display"),
    }
    return {name: value for name, value in made.items() if value is not None}


def _is_given(dependency: Json, request: TranslationRequest) -> bool:
    """Whether the request says that the other element has this value."""
    return any(
        coding.get("code") == dependency.get("value") and dependency.get("system") in (None, coding.get("system"))
        for coding in request.dependencies.get(str(dependency.get("property")), ())
    )


def _side(concept_map: Json, name: str) -> str | None:
    return concept_map.get(f"{name}Canonical") or concept_map.get(f"{name}Uri")


def _same(one: str, other: str) -> bool:
    (url, version), (other_url, other_version) = canonical(one), canonical(other)
    return url == other_url and (None in (version, other_version) or version == other_version)
