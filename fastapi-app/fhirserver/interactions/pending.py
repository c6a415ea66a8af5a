"""What a search by value sets and hierarchies is about: `:in`, `:not-in`, `:above` and `:below`.

https://hl7.org/fhir/R4/search.html#modifiers
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import replace

from fhirserver.fhir.outcomes import FhirError, InvalidRequest, NotFound
from fhirserver.fhir.resource_json import parse
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.permission import read_current, read_many, visible
from fhirserver.search.keys import ParameterKeys, self_key
from fhirserver.search.query.tree import CodedMatch, HierarchyMatch, KeyMatch
from fhirserver.search.request import Include, SearchRequest
from fhirserver.search.rewrite.pending import Pending, pending_leaves, with_found
from fhirserver.search.types.clause import split, unescape

_DEEPEST = 50
_MOST = 2000

Address = tuple[str, str]


async def settled(server: Server, call: Call, request: SearchRequest) -> SearchRequest:
    """The request with keys where value sets and hierarchies were. One without these stays as it is.

    Raises `InvalidRequest`, naming the parameter, for a value set or a code that is not known, or too many codes.
    """
    leaves = list(dict.fromkeys(pending_leaves(request.tree)))
    if not leaves:
        return request
    found: dict[Pending, KeyMatch] = {}
    for leaf in leaves:
        try:
            found[leaf] = (
                await _of_codes(server, call, leaf)
                if isinstance(leaf, CodedMatch)
                else await _of_hierarchy(server, call, leaf)
            )
        except FhirError as error:
            if error.status >= 500:
                raise
            code = "not-found" if isinstance(error, NotFound) else error.issues[0].code
            raise InvalidRequest(f"{leaf}: {error}", code=code, expression=leaf.parameter) from error
    return replace(request, tree=with_found(request.tree, found))


async def _of_codes(server: Server, call: Call, leaf: CodedMatch) -> KeyMatch:
    keys = ParameterKeys(leaf.resource_type, leaf.parameter, leaf.place)
    codes = await _codes(server, call, leaf)
    return KeyMatch(leaf.label, tuple(keys.token(system, code) for system in codes for code in sorted(codes[system])))


async def _of_hierarchy(server: Server, call: Call, leaf: HierarchyMatch) -> KeyMatch:
    keys = ParameterKeys(leaf.resource_type, leaf.parameter, leaf.place)
    found: dict[Address, None] = dict.fromkeys(leaf.targets)
    level = list(found)
    for _ in range(_DEEPEST):
        step = _below(server, call, level) if leaf.relation == "below" else _above(server, call, level)
        level = [address for address in await step if address not in found]
        found.update(dict.fromkeys(level))
        if len(found) > _MOST:
            raise InvalidRequest(f"more than {_MOST} resources are in this hierarchy", code="too-costly")
        if not level:
            break
    return KeyMatch(leaf.label, tuple(keys.reference ^ self_key(*address) for address in found), True)


async def _below(server: Server, call: Call, level: Iterable[Address]) -> list[Address]:
    """What is part of these."""
    found: list[Address] = []
    for name in sorted({resource_type for resource_type, _ in level}):
        parameter = server.definitions.hierarchy(name)
        targets = [address for address in level if address[0] == name]
        if parameter is None or not targets:
            continue
        request = server.extractor.referring(Include(name, parameter, name), targets, _MOST + 1)
        if request is not None:
            found += [
                (version.resource_type, version.id)
                for version in (await server.store.search(visible(server, call, request))).matches
            ]
    return found


async def _above(server: Server, call: Call, level: Iterable[Address]) -> list[Address]:
    """What these are part of, of the same type: a Procedure that is part of an Observation is in no hierarchy."""
    found: list[Address] = []
    for (name, _), version in (await read_many(server, call, "search", list(level))).items():
        parameter = server.definitions.hierarchy(name)
        if parameter is not None and version.content is not None and version.permitted:
            references = server.extractor.references(parse(version.content), name, parameter, call.base_url)
            found += [address for address in references if address[0] == name]
    return found


async def _codes(server: Server, call: Call, leaf: CodedMatch) -> Mapping[str, Set[str]]:
    terminology = server.terminology
    if leaf.relation == "in":
        return await terminology.codes(await _url(server, call, leaf.value))
    parts = [unescape(part) for part in split(leaf.value, "|")]
    if len(parts) != 2 or not all(parts):
        raise InvalidRequest(f"a code has a place in the hierarchy of its system only: system|{parts[-1]}")
    system, code = parts
    if leaf.relation == "below":
        return {system: await terminology.below(system, code)}
    return {system: await terminology.above(system, code)}


async def _url(server: Server, call: Call, value: str) -> str:
    """The URL of a value set that is told by it, or by its place on this server: `ValueSet/1`, `1`."""
    if ":" in value:
        return value
    id = value.removeprefix("ValueSet/")
    stored = await read_current(server, call, "search", "ValueSet", id)
    is_seen = stored is not None and stored.permitted and not stored.deleted
    url = parse(stored.live).get("url") if stored is not None and is_seen else None
    if not isinstance(url, str):
        raise NotFound(f"there is no value set ValueSet/{id[:64]} with a URL")
    return url
