"""`_explain=true`: how a search is read and carried out, as an entry beside its matches.

It is for those who may search everything of the types: a plan tells about rows that nobody else may see.
"""

from fhirserver.fhir.outcomes import Issue
from fhirserver.interactions.context import Server
from fhirserver.search.request import SearchRequest


async def explanation(server: Server, request: SearchRequest) -> list[Issue]:
    """The tree, the statement, the shards it touches, the indexes it uses, the times, and the plan."""
    found = await server.store.explain(request)
    place = "one bucket" if request.buckets and len(request.buckets) == 1 else "some buckets" if request.buckets else ""
    if found.shards is None:
        shards = f"routed to {place}" if place else "all buckets"
    else:
        shards = f"{found.shards} of the cluster" + (f", routed to {place}" if place else ", fan-out")
    told = (
        ("tree", str(request)),
        ("sql", found.statement),
        ("shards", shards),
        ("indexes", ", ".join(found.indexes) or "none"),
        ("milliseconds", f"planning {found.planning:.3f}, execution {found.execution:.3f}"),
        ("plan", found.plan),
    )
    return [Issue("information", "informational", f"{name}: {text}") for name, text in told]
