"""Facts about strings. https://hl7.org/fhir/R4/search.html#string"""

from typing import Any

import pytest

from fhirserver.fhir.datatypes.text import normalised
from fhirserver.fhir.outcomes import InvalidRequest

from ..evaluate import Searcher

ANNA: dict[str, Any] = {
    "resourceType": "Patient",
    "name": [
        {"text": "Dr. Anna-Lena  van der Berg", "prefix": ["Dr."]},
        {"family": "van der Berg", "given": ["Anna-Lena", "Zoë"]},
        {"family": "Müller", "suffix": ["MD"], "use": "maiden"},
        {"given": [None, "Søren"]},
    ],
    "address": [{"line": ["Straße 5, Haus B"], "city": "Łódź", "postalCode": "90-001", "country": "PL", "use": "home"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("query", "found", "reason"),
    [
        # R4: "matches if the value equals or starts with the supplied parameter value, after both have been normalized
        # by case and accent"
        ("given=Anna-Lena", True, "equal"),
        ("given=anna", True, "starts with, whatever the case"),
        ("given=ANNA-L", True, "starts with, whatever the case"),
        ("given=lena", False, "not at the start"),
        ("given=zoe", True, "whatever the accents"),
        ("given=ZOË", True, "whatever the accents"),
        ("given=Zoë", True, "composed or not"),
        ("given=zoé", True, "accents of the query don't count either"),
        ("given=Anna-Lena Zoë", False, "each given name is a string of its own"),
        ("given=bob", False, "another"),
        ("given=søren", True, "after a null in the list"),
        ("given=soren", False, "ø is a letter, no accent"),
        ("family=muller", True, "any of the names"),
        ("family=van der b", True, "white space inside"),
        ("family=van  der   berg", True, "superfluous white space"),
        ("family=vander", False, "but it is there"),
        ("family=an", False, "not at the start"),
        ("family=anna", False, "a given name"),
        ("name=berg", False, "starts with 'van'"),
        ("name=van", True, "`name` is any part of a HumanName"),
        ("name=dr. anna", True, "`text` too"),
        ("name=md", True, "suffix"),
        ("name=zoe", True, "given"),
        ("name=maiden", False, "`use` is no part of the name"),
        ("address=strasse 5", True, "ß is ss"),
        ("address=łódź", True, "city"),
        ("address=90-0", True, "postalCode"),
        ("address=pl", True, "country"),
        ("address=home", False, "`use` is no part of the address"),
        ("address-city=ŁÓD", True, "case beyond ASCII"),
        # several values
        ("family=nobody,mül", True, "one of them"),
        ("given=anna&family=müller", True, "each of them"),
        ("given=anna&family=nobody", False, "not each of them"),
        # "eve" with :contains finds "Severine"
        ("given:contains=lena", True, "somewhere inside"),
        ("given:contains=NA-LE", True, "whatever the case"),
        ("given:contains=ø", True, "a letter"),
        ("given:contains=bob", False, "nowhere"),
        ("family:contains=berg,nobody", True, "one of them"),
        ("given:contains=lenazoe", False, "not across strings"),
        ("family:contains=family", False, "the parameter's name is no value"),
        ("family:contains==", False, "nor what stands around it"),
        # "exactly matches, including casing and accents"
        ("given:exact=Zoë", True, "equal"),
        ("given:exact=zoë", False, "case"),
        ("given:exact=Zoe", False, "accents"),
        ("given:exact=Anna", False, "the whole string"),
        ("family:exact=van der Berg", True, "equal"),
        ("family:exact=van der  Berg", False, "white space"),
        ("address:exact=Straße 5\\, Haus B", True, "an escaped comma"),
        ("address:exact=Straße 5, Haus B", False, "a comma is or, and ' Haus B' begins with a blank"),
        ("address=straße 5\\, haus", True, "an escaped comma"),
    ],
)
def test_facts(searcher: Searcher, query: str, found: bool, reason: str) -> None:
    assert searcher.matches(ANNA, query) is found, reason


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("family:exact=a\\,b|c$d\\\\e", True),
        ("family:exact=a\\,b\\|c\\$d\\\\e", True),
        ("family=a\\,b\\|C\\$D", True),
        ("family:exact=a\\,b", False),
        ("family:contains=\\\\E", True),
        ("family:contains=%", False),
        ("family:contains=_", False),
    ],
)
def test_escapes(searcher: Searcher, query: str, found: bool) -> None:
    resource = {"resourceType": "Patient", "name": [{"family": "a,b|c$d\\e"}]}
    assert searcher.matches(resource, query) is found


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("ÀÉÎÕÜ", "aeiou"),
        ("e\u0301", "é"),
        ("ﬁn", "fin"),
        ("ΣΊΣΥΦΟΣ", "σισυφος"),
        ("İstanbul", "istanbul"),
        ("\t a \n\u00a0 b ", "a b"),
        ("K", "k"),
        ("ＡＢ", "ab"),
        ("Й", "и"),
    ],
)
def test_normalised(text: str, same: str) -> None:
    assert normalised(text) == normalised(same)


def test_nothing_to_look_for(searcher: Searcher) -> None:
    with pytest.raises(InvalidRequest, match=r"^family: ' ' is not a text to look for"):
        searcher.parse("Patient", ("family", " "))
    with pytest.raises(InvalidRequest, match=r"^family:contains: .* is not a text to look for"):
        searcher.parse("Patient", ("family:contains", "\u0301"))
    assert not searcher.matches({"resourceType": "Patient", "name": [{"family": "x"}]}, "family:exact= ")
