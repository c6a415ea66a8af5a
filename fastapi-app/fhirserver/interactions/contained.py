"""`_containedType=contained`: the contained resources that match, instead of what they are contained in.

https://hl7.org/fhir/R4/search.html#contained
"""

from collections.abc import Iterator

from fhirserver.fhir.bundle_json import BundleEntry
from fhirserver.fhir.contained_resources import numbered
from fhirserver.fhir.resource_json import parse, serialize
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.store import StoredResource
from fhirserver.search.evaluate import Candidate, holds
from fhirserver.search.keys import MOST_PLACES
from fhirserver.search.request import Contained


def contained_matches(server: Server, call: Call, wanted: Contained, version: StoredResource) -> Iterator[BundleEntry]:
    """The entries for what a match contains: the URL of the container, with the id of the contained resource."""
    url = f"{call.base_url}/{version.resource_type}/{version.id}"
    for resource_type, number, resource in numbered(parse(version.live).get("contained")):
        if resource_type != wanted.resource_type or number >= MOST_PLACES:
            continue
        entry = server.extractor.extract_contained(resource, resource_type, number, call.base_url)
        candidate = Candidate(resource_type, version.id, version.last_updated, version.bucket, entry)
        if holds(wanted.tree, candidate):
            yield BundleEntry(f"{url}#{resource.get('id')}", serialize(resource), {"search": {"mode": "match"}})
