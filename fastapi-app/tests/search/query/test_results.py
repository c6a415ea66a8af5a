"""How matches are to be given. https://hl7.org/fhir/R4/search.html#return"""

from typing import Any

import pytest

from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.search.keys import ParameterKeys
from fhirserver.search.request import Include, SearchRequest, Sort

from ..evaluate import Searcher


@pytest.mark.parametrize(
    ("resource_type", "value", "sort"),
    [
        ("Patient", "_id", Sort("_id", False, "id")),
        ("Patient", "-_lastUpdated", Sort("_lastUpdated", True, "last_updated")),
        ("Patient", "birthdate", Sort("birthdate", False, "sort_date")),
        ("Patient", "death-date", Sort("death-date", False, "range", ParameterKeys("Patient", "death-date").range())),
        ("Patient", "-family", Sort("family", True, "string")),
        ("Patient", "active", Sort("active", False, "json", 0, ("$.active",))),
        ("Patient", "gender", Sort("gender", False, "json", 0, ("$.gender",))),
        ("Patient", "identifier", Sort("identifier", False, "json", 0, ("$.identifier.value",))),
        ("Patient", "email", Sort("email", False, "json", 0, ('$.telecom ? (@.system == "email").value',))),
        ("Patient", "_tag", Sort("_tag", False, "json", 0, ("$.meta.tag.code",))),
        ("Observation", "date", Sort("date", False, "sort_date")),
        ("Observation", "code", Sort("code", False, "json", 0, ("$.code.coding.code",))),
        ("Observation", "subject", Sort("subject", False, "json", 0, ("$.subject.reference",))),
        (
            "Observation",
            "combo-code",
            Sort("combo-code", False, "json", 0, ("$.code.coding.code", "$.component.code.coding.code")),
        ),
        (
            "Observation",
            "value-quantity",
            Sort("value-quantity", False, "range", ParameterKeys("Observation", "value-quantity").range()),
        ),
        ("RiskAssessment", "probability",
         Sort("probability", False, "range", ParameterKeys("RiskAssessment", "probability").range())),
        ("ValueSet", "url", Sort("url", False, "json", 0, ("$.url",))),
    ],
)  # fmt: skip
def test_sort(searcher: Searcher, resource_type: str, value: str, sort: Sort) -> None:
    assert searcher.parse(resource_type, ("_sort", value)).sort == (sort,)


def test_every_parameter_has_an_order_or_says_so(searcher: Searcher) -> None:
    """By each parameter of each type one can sort, but for the composite and the special."""
    refused = set()
    for resource_type in searcher.definitions.resource_types:
        for code, parameter in searcher.definitions.search_parameters(resource_type).items():
            try:
                (sort,) = searcher.parse(resource_type, ("_sort", code)).sort
            except InvalidRequest:
                if parameter.type not in ("composite", "special"):
                    refused.add(code)
            else:
                assert bool(sort.json_paths) == (sort.by == "json")
                assert all(path.startswith("$.") for path in sort.json_paths)
    assert refused == {"_text", "_content", "_query"}


def test_several_keys(searcher: Searcher) -> None:
    sort = searcher.parse("Patient", ("_sort", "family, -birthdate,_id")).sort
    assert [str(key) for key in sort] == ["family", "-birthdate", "_id"]
    assert searcher.parse("Patient", ("_sort", "")).sort == ()


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("_count", "0", "count", 0),
        ("_count", "50", "count", 50),
        ("_count", "9" * 30, "count", 999_999_999),
        ("_total", "none", "total", "none"),
        ("_total", "estimate", "total", "estimate"),
        ("_total", "accurate", "total", "accurate"),
        ("_summary", "true", "summary", "true"),
        ("_summary", "text", "summary", "text"),
        ("_summary", "data", "summary", "data"),
        ("_summary", "count", "summary", "count"),
        ("_summary", "false", "summary", "false"),
        ("_elements", "name, birthDate,", "elements", ("name", "birthDate")),
        ("_cursor", "abc", "cursor", "abc"),
        ("_include", "Patient:organization", "includes", (Include("Patient", "organization"),)),
        ("_include", "Patient:link:RelatedPerson", "includes", (Include("Patient", "link", "RelatedPerson"),)),
        (
            "_include:iterate",
            "Organization:partof",
            "includes",
            (Include("Organization", "partof", None, True),),
        ),
        ("_include", "Patient:*", "includes", (Include("Patient", "*"),)),
        ("_include", "*", "includes", (Include("*", "*"),)),
        ("_revinclude", "Observation:subject", "revincludes", (Include("Observation", "subject"),)),
        ("_revinclude", "Provenance:*", "revincludes", (Include("Provenance", "*"),)),
        (
            "_revinclude:iterate",
            "Observation:subject:Patient",
            "revincludes",
            (Include("Observation", "subject", "Patient", True),),
        ),
    ],
)
def test_good(searcher: Searcher, name: str, value: str, field: str, expected: Any) -> None:
    request = searcher.parse("Patient", (name, value))
    assert getattr(request, field) == expected
    assert request.is_everything
    assert request.applied == (() if name == "_cursor" else ((name, value),))


def test_includes_add_up(searcher: Searcher) -> None:
    request = searcher.parse(
        "Patient",
        ("_include", "Patient:organization"),
        ("_revinclude", "Observation:subject"),
        ("_include", "Patient:general-practitioner"),
    )
    assert [include.parameter for include in request.includes] == ["organization", "general-practitioner"]
    assert [include.parameter for include in request.revincludes] == ["subject"]


def test_defaults(searcher: Searcher) -> None:
    assert searcher.parse("Patient") == SearchRequest("Patient", path="Patient")


@pytest.mark.parametrize("lenient", [True, False])
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("_sort", "nonsense", "_sort: Patient has no search parameter 'nonsense'"),
        ("_sort", "family,", "_sort: Patient has no search parameter ''"),
        ("_sort", "-", "_sort: Patient has no search parameter ''"),
        ("_sort", "--family", "_sort: Patient has no search parameter '-family'"),
        ("_sort", "_text", "_sort: '_text' has no order"),
        ("_count", "x", "_count is a whole number from 0, not 'x'"),
        ("_count", "-1", "_count is a whole number from 0, not '-1'"),
        ("_count", "1.5", "_count is a whole number from 0, not '1.5'"),
        ("_count", "", "_count is a whole number from 0, not ''"),
        ("_count", "٣", "_count is a whole number from 0, not '٣'"),
        ("_total", "yes", "_total is one of none, estimate, accurate, not 'yes'"),
        ("_summary", "yes", "_summary is one of true, text, data, count, false, not 'yes'"),
        ("_include", "x", "_include takes Type:parameter or Type:parameter:Type, not 'x'"),
        ("_include", "", "_include takes Type:parameter or Type:parameter:Type, not ''"),
        ("_include", "Nonsense:x", "_include takes Type:parameter or Type:parameter:Type, not 'Nonsense:x'"),
        ("_include", "a:b:c:d", "_include takes Type:parameter or Type:parameter:Type, not 'a:b:c:d'"),
        ("_include", "Patient:family", "_include: Patient has no reference parameter 'family'"),
        ("_include", "Patient:nonsense", "_include: Patient has no reference parameter 'nonsense'"),
        ("_include", "Patient:link:Nonsense", "_include: no resource type 'Nonsense'"),
        ("_sort", "name.family", "_sort: Patient has no reference parameter 'name'"),
        ("_sort", "organization.dog", "_sort: nothing that organization leads to has the parameter 'dog'"),
        ("_maxresults", "x", "_maxresults is a whole number from 0, not 'x'"),
        ("_explain", "yes", "_explain is one of true, false, not 'yes'"),
        ("_revinclude", "Observation:code", "_revinclude: Observation has no reference parameter 'code'"),
        ("_include:recurse", "Patient:link", "_include takes no modifier but :iterate"),
    ],
)
def test_bad(searcher: Searcher, name: str, value: str, message: str, lenient: bool) -> None:
    with pytest.raises(InvalidRequest) as caught:
        searcher.parse("Patient", (name, value), lenient=lenient)
    (issue,) = caught.value.issues
    assert issue.diagnostics == message
    assert issue.expression == (name.partition(":")[0],)


@pytest.mark.parametrize(
    ("asked", "page"), [(None, 20), (0, 0), (5, 5), (1000, 1000), (1001, 1000), (999_999_999, 1000)]
)
def test_bounded(asked: int | None, page: int) -> None:
    request = SearchRequest("Patient", count=asked, applied=(("_count", str(asked)),) if asked is not None else ())
    bounded = request.bounded(20, 1000)
    assert bounded.count == page
    assert bounded.applied == ((("_count", str(page)),) if asked is not None else ()), "the self link tells the page"
