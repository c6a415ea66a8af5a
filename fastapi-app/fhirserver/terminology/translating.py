"""https://hl7.org/fhir/R4/conceptmap-operation-translate.html"""

from fhirserver.fhir.terminology.concepts import Json
from fhirserver.fhir.terminology.maps import Match, TranslationRequest, fits, other_maps, translations
from fhirserver.terminology.sources import NotKnown, Sources

_MOST_OTHERS = 10


async def translate(sources: Sources, request: TranslationRequest) -> list[Match]:
    """All translations, of one map or of all that are from the codings' systems. Raises `NotKnown` for a map."""
    found: list[Match] = []
    for concept_map in await _maps(sources, request):
        others = await _others(sources, concept_map)
        found += [match for match in translations(concept_map, request, others) if match not in found]
    return found


async def _maps(sources: Sources, request: TranslationRequest) -> list[Json]:
    if isinstance(request.concept_map, dict):
        return [request.concept_map]
    if request.concept_map is not None:
        concept_map = await sources.concept_map(request.concept_map)
        if concept_map is None:
            raise NotKnown(f"the concept map '{request.concept_map[:200]}' is not known")
        return [concept_map]
    systems = dict.fromkeys(str(coding["system"]) for coding in request.codings if "system" in coding)
    maps = [
        concept_map
        for system in systems
        for concept_map in await sources.concept_maps_of(system, as_target=request.reverse)
    ]
    # One map may be from several of the systems.
    return [item for place, item in enumerate(maps) if item not in maps[:place] and fits(item, request)]


async def _others(sources: Sources, concept_map: Json) -> dict[str, Json]:
    """The maps that this one refers to for what it lacks, and those that they refer to."""
    found: dict[str, Json] = {}
    waiting = other_maps(concept_map)
    while waiting and len(found) < _MOST_OTHERS:
        url = waiting.pop()
        other = await sources.concept_map(url) if url not in found else None
        if other is not None:
            found[url] = other
            waiting += other_maps(other)
    return found
