"""Facts about URIs. https://hl7.org/fhir/R4/search.html#uri"""

from typing import Any

import pytest

from fhirserver.fhir.outcomes import InvalidRequest

from ..evaluate import Searcher

VALUE_SET: dict[str, Any] = {"resourceType": "ValueSet", "url": "http://acme.org/fhir/ValueSet/123"}


@pytest.mark.parametrize(
    ("resource", "query", "found", "reason"),
    [
        (VALUE_SET, "url=http://acme.org/fhir/ValueSet/123", True, "R4: 'the whole URI'"),
        (VALUE_SET, "url=http://acme.org/fhir/ValueSet/", False, "R4: matches are precise"),
        (VALUE_SET, "url=http://acme.org/fhir/ValueSet/123/", False, "no slash more"),
        (VALUE_SET, "url=http://acme.org/fhir/valueset/123", False, "R4: case sensitive"),
        (VALUE_SET, "url=urn:oid:1.2,http://acme.org/fhir/ValueSet/123", True, "one of them"),
        ({"resourceType": "ValueSet", "url": "urn:oid:1.2.3.4.5"}, "url=urn:oid:1.2.3.4.5", True, "a URN"),
        ({"resourceType": "ValueSet", "url": "http://x?a=1,2|3"}, "url=http://x?a=1\\,2\\|3", True, "escapes"),
        (
            {"resourceType": "Patient", "meta": {"profile": ["http://p/a|1.0"]}},
            "_profile=http://p/a",
            True,
            "a canonical is found without its version",
        ),
        (
            {"resourceType": "Patient", "meta": {"profile": ["http://p/a|1.0"]}},
            "_profile=http://p/a|1.0",
            True,
            "and with it",
        ),
        (
            {"resourceType": "Patient", "meta": {"profile": ["http://p/a|1.0"]}},
            "_profile=http://p/a|2.0",
            False,
            "but not with another",
        ),
        ({"resourceType": "Patient", "meta": {"source": "http://s"}}, "_source=http://s", True, "meta.source"),
        (VALUE_SET, "url:missing=false", True, "has one"),
        ({"resourceType": "ValueSet"}, "url:missing=true", True, "has none"),
    ],
)
def test_facts(searcher: Searcher, resource: dict[str, Any], query: str, found: bool, reason: str) -> None:
    assert searcher.matches(resource, query) is found, reason


@pytest.mark.parametrize("modifier", ["not", "text", "exact"])
def test_modifiers(searcher: Searcher, modifier: str) -> None:
    with pytest.raises(InvalidRequest, match=f"url is a uri parameter and takes no modifier '{modifier}'"):
        searcher.parse("ValueSet", (f"url:{modifier}", "http://x"))
