"""What the entries of a transaction are about: which resource each one writes, and what their criteria stand for.

https://hl7.org/fhir/R4/http.html#trules. Nothing is written here.
"""

from dataclasses import dataclass, field, replace

from fhirserver.bundles.entries import EntryRequest, at_entry
from fhirserver.bundles.order import require_distinct
from fhirserver.bundles.references import Identities, conditional_references
from fhirserver.fhir.datatypes.ids import home_bucket
from fhirserver.fhir.outcomes import FhirError, InvalidRequest, MultipleMatches
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.create import assign_id
from fhirserver.interactions.criteria import criteria_request
from fhirserver.interactions.permission import require, visible
from fhirserver.search.request import SearchRequest
from fhirserver.search.rewrite.canonical import canonical


@dataclass(slots=True)
class Plan:
    """What is decided about the entries, each told by its index.

    `addresses`: the (type, id) that it writes, or would if it had to. `matched`: the match of its criteria.
    `follows`: the entry before it that creates by the same criteria. `fresh`: those whose id is new.
    `conditional`: what references by criteria (`Type?criteria`) stand for (`Type/id`). `identities`: what the
    entries are called in the Bundle.
    """

    addresses: dict[int, tuple[str, str]] = field(default_factory=dict)
    matched: dict[int, tuple[str, str]] = field(default_factory=dict)
    follows: dict[int, int] = field(default_factory=dict)
    fresh: set[int] = field(default_factory=set)
    conditional: dict[str, str] = field(default_factory=dict)
    identities: Identities = field(default_factory=Identities)
    _awaited: dict[int, list[str]] = field(default_factory=dict)  # entry → references by the criteria it creates by

    def settle(self, entry: EntryRequest, id: str) -> None:
        """The entry writes this id."""
        address = (entry.resource_type, id)
        self.addresses[entry.index] = address
        self.identities.add(entry, "/".join(address))
        for reference in self._awaited.get(entry.index, ()):
            self.conditional[reference] = "/".join(address)

    def expect(self, reference: str, entry: EntryRequest) -> None:
        """The reference by criteria leads to what the entry will have created."""
        self._awaited.setdefault(entry.index, []).append(reference)


async def make_plan(server: Server, call: Call, requests: list[EntryRequest]) -> Plan:
    """The plan for checked entries. Within a transaction: the criteria stay locked until its end.

    Raises `InvalidRequest` for criteria that make no sense, references by criteria that match nothing, and entries
    that write the same resource; `MultipleMatches`.
    """
    plan = Plan()
    requests = [entry for entry in requests if entry.writes]
    await _resolve_criteria(server, call, requests, plan)
    _identify(server, call, requests, plan)
    require_distinct((entry, *plan.addresses[entry.index]) for entry in requests if entry.index in plan.addresses)
    return plan


async def _resolve_criteria(server: Server, call: Call, requests: list[EntryRequest], plan: Plan) -> None:
    """Find what the conditional entries and the conditional references stand for, all with few statements."""
    conditional = [(entry, query) for entry in requests if (query := _criteria(entry)) is not None]
    references = conditional_references(requests)
    if not references and not conditional:
        return
    searches = [await _search(server, call, entry, query) for entry, query in conditional]
    if searches:
        await server.store.lock([canonical(search) for search in searches])
    for reference, place in references.items():
        try:
            searches.append(await criteria_request(server, call, reference.partition("?")[0], reference))
        except FhirError as error:
            raise InvalidRequest([replace(issue, expression=(place,)) for issue in error.issues]) from error
    found = await server.store.find([visible(server, call, search) for search in searches])
    creators: dict[str, EntryRequest] = {}
    for (entry, query), search, matches in zip(conditional, searches, found, strict=False):
        if len(matches) > 1:
            raise MultipleMatches(f"several {entry.resource_type} match '{query[:200]}'", expression=entry.place)
        if matches:
            plan.matched[entry.index] = matches[0]
        elif entry.method != "DELETE":
            _take_turn(entry, creators.setdefault(canonical(search), entry), plan)
    for (reference, place), search, matches in zip(
        references.items(), searches[len(conditional) :], found[len(conditional) :], strict=True
    ):
        if len(matches) > 1:
            raise MultipleMatches(f"several resources match '{reference[:200]}'", expression=place)
        if matches:
            plan.conditional[reference] = "/".join(matches[0])
        elif canonical(search) in creators:
            plan.expect(reference, creators[canonical(search)])
        else:
            raise InvalidRequest(f"nothing matches '{reference[:200]}'", expression=place, code="not-found")


def _criteria(entry: EntryRequest) -> str | None:
    """The criteria by which the entry finds what it writes."""
    if entry.method == "POST":
        return entry.if_none_exist
    return entry.query


async def _search(server: Server, call: Call, entry: EntryRequest, query: str) -> SearchRequest:
    try:
        require(call, "search", entry.resource_type)
        return await criteria_request(server, call, entry.resource_type, query)
    except FhirError as error:
        raise type(error)(at_entry(error, entry)) from error


def _take_turn(entry: EntryRequest, first: EntryRequest, plan: Plan) -> None:
    """Of several entries that would create by the same criteria, one does."""
    if first is entry:
        return
    if not first.method == entry.method == "POST":
        raise InvalidRequest(f"{first.place} has the same criteria", expression=f"{entry.place}.request")
    plan.follows[entry.index] = first.index


def _identify(server: Server, call: Call, requests: list[EntryRequest], plan: Plan) -> None:
    """Give each entry that writes its id, patients first: the others' ids tell their patient's bucket."""
    later = []
    for entry in requests:
        match = plan.matched.get(entry.index)
        id = match[1] if match is not None else _given_id(entry)
        if id is not None:
            plan.settle(entry, id)
        elif entry.method != "DELETE":
            plan.fresh.add(entry.index)
            if entry.resource_type == "Patient":
                plan.settle(entry, _new_id(server, call, entry, plan))
            else:
                later.append(entry)
    for entry in later:
        plan.settle(entry, _new_id(server, call, entry, plan))


def _given_id(entry: EntryRequest) -> str | None:
    """The id that the client gives: in the URL or, of a conditional update, in the body."""
    if entry.method == "POST" or (entry.method == "DELETE" and entry.query is not None):
        return None
    if entry.method == "PUT" and entry.query is not None:
        return entry.body.get("id")
    return entry.path[1]


def _new_id(server: Server, call: Call, entry: EntryRequest, plan: Plan) -> str:
    """An id in the bucket of the patient, who may be created by another entry; that of the entry it follows."""
    first = plan.follows.get(entry.index)
    if first is not None:
        return plan.addresses[first][1]
    element = server.definitions.placing_element(entry.resource_type)
    reference = entry.body.get(element) if element is not None else None
    text = reference.get("reference") if isinstance(reference, dict) else None
    if not isinstance(text, str):
        return server.new_id(server.random_bucket())
    address = plan.identities.seen_from(entry.full_url).get(text) or plan.conditional.get(text)
    if address is None:
        return assign_id(server, call, entry.resource_type, entry.body)
    resource_type, _, id = address.partition("/")
    return server.new_id(home_bucket(id) if resource_type == "Patient" else server.random_bucket())
