"""`:in`, `:not-in`, `:above` and `:below`: which codes a search by value sets and hierarchies is about.

https://hl7.org/fhir/R4/search.html#modifiers
"""

from dataclasses import replace

from fhirserver.fhir.outcomes import FhirError, InvalidRequest, NotFound
from fhirserver.fhir.resource_json import parse
from fhirserver.interactions.context import Server
from fhirserver.search.query.tree import CodedMatch
from fhirserver.search.request import SearchRequest
from fhirserver.search.rewrite.coded import Codes, coded_leaves, with_codes
from fhirserver.search.types.clause import split, unescape


async def with_codes_found(server: Server, request: SearchRequest) -> SearchRequest:
    """The request with keys where value sets and hierarchies were. One without these stays as it is.

    Raises `InvalidRequest`, naming the parameter, for a value set or a code that is not known, or too many codes.
    """
    leaves = list(dict.fromkeys(coded_leaves(request.tree)))
    if not leaves:
        return request
    found = {}
    for leaf in leaves:
        try:
            found[leaf] = await _codes(server, leaf)
        except NotFound as error:
            raise InvalidRequest(f"{leaf}: {error}", code="not-found", expression=leaf.parameter) from error
        except FhirError as error:
            if error.status >= 500:
                raise
            raise InvalidRequest(f"{leaf}: {error}", code=error.issues[0].code, expression=leaf.parameter) from error
    return replace(request, tree=with_codes(request.tree, found))


async def _codes(server: Server, leaf: CodedMatch) -> Codes:
    terminology = server.terminology
    if terminology is None:
        raise InvalidRequest("this server answers no questions about codes", code="not-supported")
    if leaf.relation == "in":
        return await terminology.codes(await _url(server, leaf.value))
    parts = [unescape(part) for part in split(leaf.value, "|")]
    if len(parts) != 2 or not all(parts):
        raise InvalidRequest(f"a code has a place in the hierarchy of its system only: system|{parts[-1]}")
    system, code = parts
    if leaf.relation == "below":
        return {system: await terminology.below(system, code)}
    return {system: await terminology.above(system, code)}


async def _url(server: Server, value: str) -> str:
    """The URL of a value set that is told by it, or by its place on this server: `ValueSet/1`, `1`."""
    if ":" in value:
        return value
    id = value.removeprefix("ValueSet/")
    stored = await server.store.read("ValueSet", id)
    url = parse(stored.live).get("url") if stored is not None and not stored.deleted else None
    if not isinstance(url, str):
        raise NotFound(f"there is no value set ValueSet/{id[:64]} with a URL")
    return url
