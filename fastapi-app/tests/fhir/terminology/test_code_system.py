"""Code systems in memory: hierarchies, case, what is inactive or abstract, displays."""

import pytest

from fhirserver.fhir.terminology import CodeSystem

PROPERTIES = "http://hl7.org/fhir/concept-properties#"


def chain(*pairs, **elements):
    """A code system of concepts with parents: ("child", "parent parent")."""
    parents = [
        {"code": code, "property": [{"code": "parent", "valueCode": p} for p in above.split()]} for code, above in pairs
    ]
    return CodeSystem({"url": "urn:x", "content": "complete", "concept": parents, **elements})


@pytest.mark.parametrize(
    ("pairs", "code", "above", "below", "why"),
    [
        ([("a", ""), ("b", "a"), ("c", "b")], "b", "a", "c", "a chain"),
        ([("a", ""), ("b", ""), ("c", "a b")], "c", "a b", "", "two parents"),
        ([("a", "b"), ("b", "a")], "a", "b", "b", "a circle"),
        ([("a", "a")], "a", "", "", "its own parent"),
        ([("a", "b"), ("b", "c"), ("c", "b")], "a", "b c", "", "into a circle"),
        ([("a", "unknown")], "a", "unknown", "", "a parent that does not exist"),
    ],
)
def test_hierarchies(pairs, code, above, below, why):
    system = chain(*pairs)
    assert (sorted(system.above(code)), sorted(system.below(code))) == (above.split(), below.split()), why


def test_a_very_deep_hierarchy_costs_no_more_than_it_is_long():
    system = chain(*((str(n), str(n - 1)) for n in range(100_000)))
    assert len(system.below("0")) == 99_999
    assert len(system.above("99999")) == 100_000  # -1 too


def test_children_by_property_and_by_nesting():
    concepts = [
        {"code": "a", "concept": [{"code": "b"}], "property": [{"code": "sub", "valueCode": "c"}]},
        {"code": "c"},
    ]
    system = CodeSystem(
        {"url": "urn:x", "property": [{"code": "sub", "uri": PROPERTIES + "child"}], "concept": concepts}
    )
    assert list(system.children("a")) == ["b", "c"]
    assert [concept.code for concept in system.concepts()] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("case_sensitive", "asked", "found"),
    [(True, "Ab", "Ab"), (True, "AB", None), (False, "AB", "Ab"), (None, "aB", "Ab"), (None, "x", None)],
)
def test_case(case_sensitive, asked, found):
    resource = {"url": "urn:x", "concept": [{"code": "Ab"}, {"code": "c"}]}
    system = CodeSystem(resource if case_sensitive is None else resource | {"caseSensitive": case_sensitive})
    concept = system.concept(asked)
    assert (concept and concept.code) == found


@pytest.mark.parametrize(
    ("item", "inactive", "abstract"),
    [
        ({"code": "inactive", "valueBoolean": True}, True, False),
        ({"code": "inactive", "valueBoolean": False}, False, False),
        ({"code": "status", "valueCode": "retired"}, True, False),
        ({"code": "status", "valueCode": "deprecated"}, False, False),
        ({"code": "notSelectable", "valueBoolean": True}, False, True),
        ({"code": "group", "valueBoolean": True}, False, True),  # by the URI of the property
        ({"code": "other", "valueBoolean": True}, False, False),
    ],
)
def test_inactive_and_abstract(item, inactive, abstract):
    definition = {"code": "group", "uri": PROPERTIES + "notSelectable", "type": "boolean"}
    system = CodeSystem({"url": "urn:x", "property": [definition], "concept": [{"code": "a", "property": [item]}]})
    concept = system.concept("a")
    assert (concept.inactive, concept.abstract) == (inactive, abstract)


@pytest.mark.parametrize(
    ("language", "display"),
    [
        (None, "Heart"),
        ("en", "Heart"),  # the language of the code system is not said: what it says itself
        ("es", "Corazón"),
        ("ES", "Corazón"),
        ("es-MX", "Corazón (MX)"),
        ("es-AR", "Corazón"),  # the language without its region
        ("pt", "Coração"),  # one of its regions
        ("de", "Heart"),
    ],
)
def test_displays_by_language(language, display):
    words = {"es-MX": "Corazón (MX)", "es": "Corazón", "pt-BR": "Coração"}
    designations = [{"language": tag, "value": text} for tag, text in words.items()]
    system = CodeSystem({"url": "urn:x", "concept": [{"code": "h", "display": "Heart", "designation": designations}]})
    assert system.concept("h").display_in(language) == display
