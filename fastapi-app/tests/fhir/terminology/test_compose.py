"""What value sets select: filters, imports, exclusions; what can't be evaluated."""

from contextlib import suppress

import pytest

from fhirserver.fhir.outcomes import Unprocessable
from fhirserver.fhir.terminology import CodeSystem
from fhirserver.fhir.terminology.compose import contents
from fhirserver.fhir.terminology.selection import holds, holds_for

S = "urn:test:animals"


def concept(code, *below, **elements):
    made = {"code": code, **elements}
    return made | {"concept": list(below)} if below else made


def prop(code, value, kind="valueCode"):
    return {"code": code, kind: value}


ANIMALS = CodeSystem(
    {
        "resourceType": "CodeSystem",
        "url": S,
        "caseSensitive": True,
        "content": "complete",
        "property": [{"code": "above", "uri": "http://hl7.org/fhir/concept-properties#parent", "type": "code"}],
        "concept": [
            concept(
                "animal",
                concept("bird", concept("duck", property=[prop("legs", 2, "valueInteger")]), concept("owl")),
                concept(
                    "fish",
                    concept("carp"),
                    property=[prop("legs", 0, "valueInteger"), prop("wet", True, "valueBoolean")],
                ),
                property=[prop("notSelectable", True, "valueBoolean")],
            ),
            concept("pet", concept("cat", property=[prop("legs", 4, "valueInteger"), prop("above", "animal")])),
            concept("dodo", property=[prop("above", "bird"), prop("status", "retired")]),
        ],
    }
)
ALL = "animal bird duck owl fish carp pet cat dodo"


def selected(*include, exclude=(), others=(), url="urn:vs:top"):
    """The codes of the code system that are in the value set."""
    known = {other["url"]: other for other in others}

    def resolve(canonical):
        try:
            return known[canonical.partition("|")[0]]
        except KeyError:
            raise Unprocessable(canonical, code="not-found") from None

    compose = {"include": list(include), **({"exclude": list(exclude)} if exclude else {})}
    parts = contents({"resourceType": "ValueSet", "url": url, "compose": compose}, resolve).parts
    return " ".join(
        item.code
        for item in ANIMALS.concepts()
        if any(holds(selection, item, ANIMALS) for (system, _), selection in parts.items() if system == S)
    )


def value_set(url, *include):
    return {"resourceType": "ValueSet", "url": url, "compose": {"include": list(include)}}


def where(property, op, value):
    return {"system": S, "filter": [{"property": property, "op": op, "value": value}]}


def listed(*codes, **elements):
    return {"system": S, "concept": [{"code": code} for code in codes], **elements}


@pytest.mark.parametrize(
    ("filter", "codes", "why"),
    [
        (("concept", "is-a", "bird"), "bird duck owl dodo", "itself, what is nested, and what names it as its parent"),
        (("concept", "is-a", "animal"), "animal bird duck owl fish carp cat dodo", "at all levels, along both ways"),
        (("concept", "is-a", "unicorn"), "", "not a code"),
        (("concept", "descendent-of", "bird"), "duck owl dodo", "without itself"),
        (("concept", "is-not-a", "animal"), "pet", "all others"),
        (("concept", "generalizes", "cat"), "animal pet cat", "two parents, and itself"),
        (("concept", "generalizes", "unicorn"), "", "not a code"),
        (("concept", "=", "duck"), "duck", "one code"),
        (("code", "in", "duck, owl,unicorn"), "duck owl", "a list of codes"),
        (("concept", "not-in", "duck,owl,pet,cat,dodo"), "animal bird fish carp", "all but these"),
        (("parent", "=", "animal"), "bird fish cat", "the direct children"),
        (("child", "=", "cat"), "animal pet", "the direct parents"),
        (("parent", "exists", "false"), "animal pet", "the roots"),
        (("legs", "=", "2"), "duck", "a number"),
        (("legs", "in", "0,4"), "fish cat", "several"),
        (("legs", "not-in", "0,4"), "animal bird duck owl carp pet dodo", "without the property too"),
        (("legs", "exists", "true"), "duck fish cat", "any value"),
        (("wet", "=", "true"), "fish", "a boolean"),
        (("code", "regex", "[a-c].*"), "animal bird carp cat", "the whole code"),
        (("code", "regex", "a"), "", "not a part of it"),
        (("legs", "regex", "[04]"), "fish cat", "of a property"),
    ],
)  # fmt: skip
def test_filters(filter, codes, why):
    assert selected(where(*filter)) == codes, why


@pytest.mark.parametrize(
    ("include", "exclude", "codes", "why"),
    [
        ([{"system": S}], [], ALL, "all"),
        ([{"system": "urn:other"}], [], "", "of another code system"),
        ([listed("owl", "unicorn")], [], "owl", "what doesn't exist is not in it"),
        ([listed("owl"), where("concept", "is-a", "fish")], [], "owl fish carp", "one or the other"),
        ([{**where("concept", "is-a", "animal"), "valueSet": ["urn:vs:a"]}], [], "duck cat", "both"),
        ([{"valueSet": ["urn:vs:a"]}], [], "duck pet cat", "an import"),
        ([{"valueSet": ["urn:vs:a", "urn:vs:b"]}], [], "duck cat", "what is in both"),
        ([{"valueSet": ["urn:vs:a"]}, {"valueSet": ["urn:vs:b"]}], [], "duck owl pet cat", "what is in one of them"),
        ([{"system": S}], [where("concept", "is-a", "animal")], "pet", "all but these"),
        ([{"system": S}], [{"valueSet": ["urn:vs:a"]}], "animal bird owl fish carp dodo", "all but those of a value set"),
        ([{"system": S}], [{"system": "urn:other"}], ALL, "nothing of it is excluded"),
        ([{"system": S}], [listed("owl", version="2")], ALL.replace(" owl", ""), "a version excludes the code system without"),
        ([{"system": S, "version": "1"}], [listed("owl", version="2")], ALL, "another version excludes nothing"),
        ([{"system": S, "filter": [
            {"property": "concept", "op": "is-a", "value": "animal"}, {"property": "legs", "op": "exists", "value": "true"},
        ]}], [], "duck fish cat", "all filters together"),
    ],
)  # fmt: skip
def test_includes_and_excludes(include, exclude, codes, why):
    others = [value_set("urn:vs:a", listed("duck", "cat", "pet")), value_set("urn:vs:b", listed("cat", "duck", "owl"))]
    assert selected(*include, exclude=exclude, others=others) == codes, why


@pytest.mark.parametrize(
    ("include", "code", "problem"),
    [
        ([{"valueSet": ["urn:vs:top"]}], "processing", "import each other: urn:vs:top → urn:vs:top"),
        ([{"valueSet": ["urn:vs:a"]}], "processing", "urn:vs:top → urn:vs:a → urn:vs:top"),
        ([{"valueSet": ["urn:vs:none"]}], "not-found", "urn:vs:none"),
        ([where("concept", "like", "x")], "not-supported", "'like' is no filter operator"),
        ([where("concept", "exists", "yes")], "processing", "true or false"),
        ([where("code", "regex", "(")], "processing", "can't be evaluated"),
        ([where("code", "regex", r"(a)\1")], "processing", "can't be evaluated"),  # needs backtracking
        ([where("code", "regex", "a" * 1001)], "processing", "more than 1000 characters"),
    ],
    ids=str,
)
def test_what_cant_be_evaluated(include, code, problem):
    others = [value_set("urn:vs:a", {"valueSet": ["urn:vs:top"]}), value_set("urn:vs:top", *include)]
    with pytest.raises(Unprocessable, match=problem) as raised:
        selected(*include, others=others)
    assert raised.value.issues[0].code == code


def test_imports_that_multiply_are_refused():
    """Each of 30 levels imports two value sets of the next: 2 to the 30 conditions if it were written out."""
    others = [
        value_set(
            f"urn:vs:{level}{side}", {"valueSet": [f"urn:vs:{level + 1}a"]}, {"valueSet": [f"urn:vs:{level + 1}b"]}
        )
        for level in range(28)
        for side in "ab"
    ]
    others += [value_set(f"urn:vs:28{side}", listed("owl")) for side in "ab"]
    with pytest.raises(Unprocessable, match="too many others"):
        selected({"valueSet": ["urn:vs:0a"]}, others=others)
    chain = [value_set(f"urn:vs:{level}", {"valueSet": [f"urn:vs:{level + 1}"]}) for level in range(40)]
    with pytest.raises(Unprocessable, match="levels deep"):
        selected({"valueSet": ["urn:vs:0"]}, others=chain)


def test_a_regular_expression_takes_linear_time():
    system = CodeSystem({"url": S, "concept": [{"code": "a" * 2000 + "b"}]})
    parts = contents(value_set("urn:vs:x", where("code", "regex", "(a|a)*(a*)*")), lambda url: {}).parts
    assert not holds(parts[S, None], next(iter(system.concepts())), system)


def test_a_value_set_with_an_expansion_only_contains_what_that_lists():
    inner = {"system": S, "code": "owl", "display": "Owl"}
    expansion = {
        "contains": [{"display": "group", "contains": [inner]}, {"system": S, "code": "bird", "abstract": True}]
    }
    parts = contents({"url": "urn:vs:x", "expansion": expansion}, lambda url: {}).parts
    assert [holds_for(parts[S, None], code) for code in ("owl", "bird")] == [True, False]


@pytest.mark.parametrize(
    ("include", "owl", "cat", "why"),
    [
        ([listed("owl")], True, False, "listed"),
        ([{"system": S}], None, None, "all, but which are those?"),
        ([listed("owl"), where("concept", "is-a", "pet")], True, None, "listed, or perhaps a pet"),
        ([listed("owl", valueSet=["urn:vs:pets"])], None, False, "listed, but perhaps no pet"),
        ([where("concept", "is-not-a", "bird")], None, None, "depends on the hierarchy"),
    ],
)
def test_what_can_be_told_without_the_code_system(include, owl, cat, why):
    pets = value_set("urn:vs:pets", where("concept", "is-a", "pet"))
    parts = contents(value_set("urn:vs:x", *include), lambda url: pets).parts
    assert [holds_for(parts[S, None], code) for code in ("owl", "cat")] == [owl, cat], why


@pytest.mark.parametrize(
    "garbage", [None, 1, "x", [], {}, [1], [[]], [{}], {"include": 1}, {"include": [1, {"system": 2}]}]
)
def test_what_was_stored_unchecked_does_no_harm(garbage):
    for name in ("compose", "expansion"):
        contents({"url": "urn:vs:x", name: garbage}, lambda url: {})
    for name in ("include", "exclude"):
        contents({"url": "urn:vs:x", "compose": {name: garbage}}, lambda url: {})
        for part in ("concept", "filter", "valueSet"):
            with suppress(Unprocessable):  # a filter without operator
                contents({"compose": {name: [{"system": S, part: garbage}]}}, lambda url: {})
    for name in ("concept", "property"):
        CodeSystem({"url": S, name: garbage})
    for name in ("concept", "property", "designation"):
        assert len(CodeSystem({"url": S, "concept": [{"code": "a", name: garbage}]})) == 1
