"""How concepts are presented in an expansion: nesting, designations, names that a text finds."""

import pytest

from fhirserver.fhir.terminology.concepts import Concept, name_text
from fhirserver.fhir.terminology.expansion import ExpansionRequest, entry, is_named, nested


def tree(*pairs):
    """The forest of entries with parents, as text: `a(b(c) d)`."""

    def text(items):
        return " ".join(
            f"{item['code']}({text(item['contains'])})" if "contains" in item else item["code"] for item in items
        )

    return text(nested([({"code": code}, above.split()) for code, above in pairs]))


@pytest.mark.parametrize(
    ("pairs", "forest", "why"),
    [
        ([("a", ""), ("b", "a"), ("c", "b"), ("d", "a")], "a(b(c) d)", "a tree"),
        ([("c", "b"), ("b", "a"), ("a", "")], "a(b(c))", "in any order"),
        ([("a", "x"), ("b", "x")], "a b", "the parent is not among them"),
        ([("a", ""), ("b", "x a")], "a(b)", "the first that is there"),
        ([("a", ""), ("b", ""), ("c", "b a")], "a b(c)", "below one only"),
        ([("a", "b"), ("b", "a"), ("c", "a")], "a b c", "a circle has no top"),
        ([("a", "a")], "a", "its own parent"),
        ([], "", "nothing"),
    ],
)
def test_nesting(pairs, forest, why):
    assert tree(*pairs) == forest, why


@pytest.mark.parametrize(
    ("text", "found", "why"),
    [
        ("acut ast", True, "the beginnings of words"),
        ("AST acut", True, "in any order and case"),
        ("asma", True, "a designation"),
        ("agúda", True, "without accents"),
        ("195967001", True, "the code"),
        ("cute", False, "not in the midst of a word"),
        ("acute allergy", False, "all words"),
        ("  ", True, "no words"),
        ("-- !", True, "no words"),
    ],
)
def test_text_filters(text, found, why):
    concept = Concept("195967001", "Acute asthma", designations=[{"value": "Asma aguda"}])
    request = ExpansionRequest(value_set="x", text=text)
    assert is_named(name_text(concept), request.words) is found, why


USE = {"system": "http://s", "code": "short"}
CONCEPT = Concept(
    "c", "Display", designations=[{"language": "es", "value": "Uno"}, {"language": "de", "use": USE, "value": "Eins"}]
)


@pytest.mark.parametrize(
    ("options", "shown", "made"),
    [
        ({}, {}, {"display": "Display"}),
        ({}, {"display": "Own"}, {"display": "Own"}),
        ({"language": "es"}, {}, {"display": "Uno"}),
        ({"language": "es"}, {"display": "Own", "designation": [{"language": "es", "value": "Propio"}]}, {"display": "Propio"}),
        ({"language": "fr"}, {"display": "Own"}, {"display": "Own"}),
        ({"with_designations": True}, {}, {"display": "Display", "designation": list(CONCEPT.designations)}),
        ({"designations": ["es"]}, {}, {"display": "Display", "designation": [CONCEPT.designations[0]]}),
        ({"designations": ["urn:ietf:bcp:47|es"]}, {}, {"display": "Display", "designation": [CONCEPT.designations[0]]}),
        ({"designations": ["http://s|short"]}, {}, {"display": "Display", "designation": [CONCEPT.designations[1]]}),
        ({"designations": ["http://other|short"]}, {}, {"display": "Display"}),
    ],
)  # fmt: skip
def test_entries(options, shown, made):
    request = ExpansionRequest(value_set="x", **options)
    assert entry(CONCEPT, "http://system", None, shown, request) == {"system": "http://system", "code": "c", **made}


def test_an_entry_says_what_is_abstract_and_inactive():
    concept = Concept("c", inactive=True, abstract=True)
    made = {"system": "s", "abstract": True, "inactive": True, "version": "2", "code": "c"}
    assert entry(concept, "s", "2", {}, ExpansionRequest(value_set="x")) == made
