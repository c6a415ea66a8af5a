"""Code systems that are told by the form of their codes, and value sets that are told by their URL."""

import pytest

from fhirserver.fhir.terminology.grammars import GRAMMARS
from fhirserver.fhir.terminology.implicit import implicit_value_set

TAGS, TYPES, URIS, UCUM = "urn:ietf:bcp:47", "urn:ietf:bcp:13", "urn:ietf:rfc:3986", "http://unitsofmeasure.org"


@pytest.mark.parametrize(
    ("system", "code", "is_one", "why"),
    [
        (TAGS, "es", True, "a language"),
        (TAGS, "es-419", True, "a region by number"),
        (TAGS, "zh-Hant-TW", True, "script and region"),
        (TAGS, "zh-cmn-Hans-CN", True, "an extended language"),
        (TAGS, "sl-rozaj-biske", True, "variants"),
        (TAGS, "de-1996", True, "a variant by number"),
        (TAGS, "en-a-myext-b-another", True, "extensions"),
        (TAGS, "x-whatever", True, "private"),
        (TAGS, "de-x-goethe", True, "with a private part"),
        (TAGS, "español", False, "not ASCII"),
        (TAGS, "e", False, "too short"),
        (TAGS, "en_US", False, "an underscore"),
        (TAGS, "en-", False, "ends with a dash"),
        (TAGS, "", False, "empty"),
        (TYPES, "text/plain", True, "a type"),
        (TYPES, "application/fhir+json; fhirVersion=4.0", True, "a parameter"),
        (TYPES, 'text/html;charset="utf-8"', True, "a quoted parameter"),
        (TYPES, "text", False, "no subtype"),
        (TYPES, "text/", False, "an empty subtype"),
        (TYPES, "text/plain; charset", False, "a parameter without value"),
        (TYPES, "text/plain\n", False, "a line end"),
        (UCUM, "mg/dL", True, "a unit"),
        (UCUM, "{beats}/min", True, "with an annotation"),
        (UCUM, "MG/dl/", False, "no unit"),
        (URIS, "urn:oid:1.2.3", True, "a URN"),
        (URIS, "http://a/b?c#d", True, "a URL"),
        (URIS, "a b", False, "no scheme"),
        (URIS, "http://a b", False, "a blank"),
        (URIS, "x:" + "a" * 2000, False, "longer than any"),
    ],
)
def test_codes(system, code, is_one, why):
    assert (GRAMMARS[system].concept(code) is not None) is is_one, why


def test_the_parts_of_a_language_tag_are_properties():
    concept = GRAMMARS[TAGS].concept("zh-cmn-Hans-CN-x-own")
    found = {
        name: concept.values(name) for name in ("language", "ext-lang", "script", "region", "variant", "private-use")
    }
    assert found == {
        "language": ["zh"], "ext-lang": ["cmn"], "script": ["Hans"], "region": ["CN"], "variant": [], "private-use": ["x-own"],
    }  # fmt: skip


SNOMED = "http://snomed.info/sct"
EDITION = SNOMED + "/900000000000207008/version/20240101"


def filtered(property, op, value):
    return [{"property": property, "op": op, "value": value}]


@pytest.mark.parametrize(
    ("url", "include"),
    [
        (SNOMED + "?fhir_vs", {"system": SNOMED}),
        (EDITION + "?fhir_vs", {"system": SNOMED, "version": EDITION}),
        (SNOMED + "?fhir_vs=isa/73211009", {"system": SNOMED, "filter": filtered("concept", "is-a", "73211009")}),
        (SNOMED + "?fhir_vs=refset/1", {"system": SNOMED, "filter": filtered("concept", "in", "1")}),
        (SNOMED + "?fhir_vs=ecl/x", None),
        (SNOMED + "?fhir_vs=isa/", None),
        (SNOMED + "?other", None),
        ("http://loinc.org/vs", {"system": "http://loinc.org"}),
        ("http://loinc.org/vs/LL715-4", {"system": "http://loinc.org", "filter": filtered("LIST", "=", "LL715-4")}),
        ("http://loinc.org/vs/LP43571-6", {"system": "http://loinc.org", "filter": filtered("concept", "is-a", "LP43571-6")}),
        ("http://hl7.org/fhir/sid/icd-10/vs", {"system": "http://hl7.org/fhir/sid/icd-10"}),
        ("http://hl7.org/fhir/ValueSet/x", None),
    ],
)  # fmt: skip
def test_implicit_value_sets(url, include):
    found = implicit_value_set(url)
    assert (found and found["compose"]["include"]) == (include and [include])
