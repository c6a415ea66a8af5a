"""Translations by concept maps."""

import pytest

from fhirserver.fhir.terminology.maps import TranslationRequest, fits, other_maps, translations

A, B, C = "urn:a", "urn:b", "urn:c"


def element(code, *targets):
    return {"code": code, "target": [dict(zip(("code", "equivalence"), target, strict=False)) for target in targets]}


def concept_map(*groups, url="urn:map", **elements):
    return {"resourceType": "ConceptMap", "url": url, "group": list(groups), **elements}


def group(source, target, *elements, **more):
    return {"source": source, "target": target, "element": list(elements), **more}


MAP = concept_map(
    group(A, B, element("1", ("one", "equal"), ("uno", "wider")), element("2", ("two", "narrower")), element("3", (None, "unmatched"))),
    group(A, C, element("1", ("I", "equivalent"))),
)  # fmt: skip
MAP["group"][0]["element"][2]["target"] = [{"equivalence": "unmatched"}]


def answer(concept_map, code, others=(), system=A, **request):
    """The translations as text: `equivalence system|code`."""
    found = translations(
        concept_map,
        TranslationRequest(codings=[{"system": system, "code": code}], **request),
        {other["url"]: other for other in others},
    )
    return [
        f"{match.equivalence} {match.concept['system']}|{match.concept['code']}" if match.concept else match.equivalence
        for match in found
    ]


@pytest.mark.parametrize(
    ("code", "request_", "expected", "why"),
    [
        ("1", {}, ["equal urn:b|one", "wider urn:b|uno", "equivalent urn:c|I"], "all targets"),
        ("1", {"target_system": C}, ["equivalent urn:c|I"], "one target"),
        ("1", {"target_system": "urn:d"}, [], "no such target"),
        ("3", {}, ["unmatched"], "said to have none"),
        ("4", {}, [], "not in the map"),
        ("1", {"system": B}, [], "another code system"),
        ("one", {"system": B, "reverse": True}, ["equal urn:a|1"], "back"),
        ("uno", {"system": B, "reverse": True}, ["narrower urn:a|1"], "what was wider is narrower"),
        ("two", {"system": B, "reverse": True}, ["wider urn:a|2"], "and the other way round"),
        ("one", {"system": B, "reverse": True, "target_system": C}, [], "back to another"),
    ],
)
def test_translations(code, request_, expected, why):
    assert answer(MAP, code, **request_) == expected, why


@pytest.mark.parametrize(
    ("unmapped", "expected", "why"),
    [
        ({"mode": "provided"}, ["equal urn:b|9"], "the same code"),
        ({"mode": "fixed", "code": "other"}, ["inexact urn:b|other"], "one for all"),
        ({"mode": "other-map", "url": "urn:more"}, ["equal urn:b|nine"], "another map"),
        ({"mode": "other-map", "url": "urn:loop"}, [], "a map that refers to itself"),
        ({"mode": "other-map", "url": "urn:none"}, [], "a map that isn't there"),
    ],
)
def test_unmapped_codes(unmapped, expected, why):
    loop = concept_map(group(A, B, unmapped={"mode": "other-map", "url": "urn:loop"}), url="urn:loop")
    more = concept_map(group(A, B, element("9", ("nine", "equal"))), url="urn:more")
    asked = concept_map(group(A, B, element("1", ("one", "equal")), unmapped=unmapped))
    assert answer(asked, "9", [loop, more]) == expected, why
    assert answer(asked, "1", [loop, more]) == ["equal urn:b|one"]
    assert other_maps(asked) == ([unmapped["url"]] if "url" in unmapped else [])


def test_what_depends_on_another_element_needs_it():
    target = {"code": "x", "equivalence": "equal", "dependsOn": [{"property": "urn:p", "system": C, "value": "v"}]}
    product = {"property": "urn:q", "system": C, "value": "w"}
    asked = concept_map(group(A, B, {"code": "1", "target": [target | {"product": [product]}]}))
    assert answer(asked, "1") == []
    assert answer(asked, "1", dependencies={"urn:p": [{"system": C, "code": "u"}]}) == []
    assert answer(asked, "1", dependencies={"urn:other": [{"system": C, "code": "v"}]}) == []
    given = {"urn:p": [{"system": C, "code": "v"}]}
    (match,) = translations(asked, TranslationRequest(codings=[{"system": A, "code": "1"}], dependencies=given), {})
    assert (match.concept, match.products, match.source) == ({"system": B, "code": "x"}, [product], "urn:map")


@pytest.mark.parametrize(
    ("request_", "suits", "why"),
    [
        ({}, True, "nothing said"),
        ({"source": "urn:vs:1", "target": "urn:vs:2"}, True, "both"),
        ({"source": "urn:vs:1|9"}, True, "the map says no version"),
        ({"source": "urn:vs:2"}, False, "another source"),
        ({"target": "urn:vs:3"}, False, "another target"),
        ({"source": "urn:vs:2", "target": "urn:vs:1", "reverse": True}, True, "back"),
    ],
)
def test_which_maps_fit(request_, suits, why):
    asked = concept_map(sourceCanonical="urn:vs:1", targetUri="urn:vs:2")
    assert fits(asked, TranslationRequest(codings=[], **request_)) is suits, why


@pytest.mark.parametrize("garbage", [None, 1, "x", [], {}, [1], [{}], [{"element": 1}], [{"element": [{"target": 1}]}]])
def test_what_was_stored_unchecked_does_no_harm(garbage):
    asked = {"group": garbage}
    assert answer(asked, "1") == answer(asked, "1", reverse=True) == other_maps(asked) == []
