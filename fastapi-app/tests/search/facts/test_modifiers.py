"""Modifier × type of parameter. https://hl7.org/fhir/R4/search.html#modifiers"""

from typing import Any

import pytest

SYSTEM = "http://acme.org/codes"
MRN = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}


def _observation(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **elements}


def _procedure(*part_of: str) -> dict[str, Any]:
    parts = {"partOf": [{"reference": whole} for whole in part_of]} if part_of else {}
    return {"resourceType": "Procedure", "status": "completed", "subject": {"display": "x"}, **parts}


def _charge(service: str) -> dict[str, Any]:
    made = {"resourceType": "ChargeItem", "status": "billable", "code": {"text": "x"}, "subject": {"display": "x"}}
    return {**made, "service": [{"reference": service}]}


RESOURCES: dict[str, dict[str, Any]] = {
    "ana": {"resourceType": "Patient", "name": [{"family": "Ana"}], "birthDate": "2013"},
    "banana": {"resourceType": "Patient", "name": [{"family": "Banána"}, {"family": "Anabel"}]},
    "accent": {"resourceType": "Patient", "name": [{"family": "ána"}], "birthDate": "2014"},
    "nameless": {"resourceType": "Patient", "_birthDate": {"extension": [{"url": "http://x", "valueString": "unknown"}]}},
    "coded": _observation(method={"coding": [{"system": SYSTEM, "code": "a"}, {"system": SYSTEM, "code": "b"}]}),
    "displayed": _observation(
        method={"coding": [{"system": SYSTEM, "code": "d", "display": "Radio-immuno assay"}], "text": "the usual way"}
    ),
    "numbered": {"resourceType": "Patient", "identifier": [{"type": MRN | {"text": "Record number"}, "system": SYSTEM, "value": "7"}]},
    "unnumbered": {"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": "7"}]},
    "other": _observation(method={"coding": [{"system": SYSTEM, "code": "c"}]}),
    "worded": _observation(method={"text": "a"}),
    "of-ana": _observation(subject={"reference": "Patient/@ana"}),
    "of-device": _observation(subject={"reference": "Device/@ana"}),
    "of-number": _observation(subject={"identifier": {"system": SYSTEM, "value": "7"}}),
    "of-both": _observation(subject={"reference": "Patient/@ana", "identifier": {"system": SYSTEM, "value": "7"}}),
    "weighed": _observation(valueQuantity={"value": 5}),
    "set": {"resourceType": "ValueSet", "status": "active", "url": "http://acme.org/a"},
    "below-a": {"resourceType": "ValueSet", "status": "active", "url": "http://acme.org/a/b"},
    "beside-a": {"resourceType": "ValueSet", "status": "active", "url": "http://acme.org/ab"},
    "oid": {"resourceType": "ValueSet", "status": "active", "url": "urn:oid:1.2.3"},
    **{
        f"profile-{version}": {
            "resourceType": "Basic", "code": {"text": "x"}, "meta": {"profile": [f"http://acme.org/some-profile|{version}"]}
        }
        for version in ("1.0", "1.1", "2.0", "10")
    },
    "nowhere": {"resourceType": "ValueSet", "status": "active"},
    "surgery": _procedure(),
    "step": _procedure("Procedure/@surgery", "Observation/@weighed"),
    "stitch": _procedure("Procedure/@step"),
    **{f"charge-{name}": _charge(f"Procedure/@{name}") for name in ("surgery", "step", "stitch")},
    "charge-weighed": _charge("Observation/@weighed"),
    "risky": {
        "resourceType": "RiskAssessment", "status": "final", "subject": {"display": "x"},
        "prediction": [{"probabilityDecimal": 0.5}],
    },
    "riskless": {"resourceType": "RiskAssessment", "status": "final", "subject": {"display": "x"}},
}  # fmt: skip

FACTS = [
    # string
    ("Patient?family=ana", "ana banana accent", "starts with it, whatever case and accents"),
    ("Patient?family:exact=Ana", "ana", "the entire string, with case and accents"),
    ("Patient?family:exact=ána", "accent", "the entire string, with case and accents"),
    ("Patient?family:exact=Ana,ána", "ana accent", "one of them"),
    ("Patient?family:contains=nan", "banana", "anywhere, whatever accents"),
    ("Patient?family:contains=ANA", "ana banana accent", "anywhere, whatever case"),
    ("Patient?family:missing=true", "nameless numbered unnumbered", "no family name"),
    ("Patient?family:missing=false", "ana banana accent", "one at least"),
    # token
    ("Observation?method=a", "coded", "one of the codings"),
    ("Observation?method:not=a", "other worded displayed of-ana of-device of-number of-both weighed", "R4: also what has no value"),
    ("Observation?method:not=a,c", "worded displayed of-ana of-device of-number of-both weighed", "none of them: the negation applies to the set"),
    ("Observation?method:not=b&method:missing=false", "other worded displayed", "of those that have a value"),
    ("Observation?method:missing=false", "coded other worded displayed", "a text is a value"),
    ("Observation?method:text=usual", "displayed", "R4: CodeableConcept.text"),
    ("Observation?method:text=radio immuno", "displayed", "R4: Coding.display, in whichever case"),
    ("Observation?method:text=immuno ass", "displayed", "partial: words of it, the last of which goes on"),
    ("Observation?method:text=mmuno", "", "not from the middle of a word"),
    ("Observation?method:text=d", "", "the code is no text"),
    ("Patient?identifier:text=record", "numbered", "R4: Identifier.type.text"),
    ("Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|7", "numbered", "system, code and value"),
    ("Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|8", "", "another value"),
    ("Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|DL|7", "", "another type"),
    # what everything has
    ("ValueSet?_id:missing=true", "", "everything has an id"),
    ("ValueSet?_id:missing=false&_lastUpdated:missing=false", "set below-a beside-a oid nowhere", "and was stored once"),
    ("ValueSet?_filter=_id pr true and not (_lastUpdated pr true)", "", "also in a filter"),
    # reference
    ("Observation?subject=@ana", "of-ana of-device of-both", "an id of any type that subject can refer to"),
    ("Observation?subject:Patient=@ana", "of-ana of-both", "an id of this type"),
    ("Observation?subject:Device=@ana", "of-device", "an id of this type"),
    (f"Observation?subject:identifier={SYSTEM}|7", "of-number of-both", "the identifier of the reference, literal or not"),
    ("Observation?subject:identifier=7", "of-number of-both", "a token without system"),
    ("Observation?subject:identifier=8", "", "another identifier"),
    ("Observation?subject:missing=false", "of-ana of-device of-number of-both", "any reference"),
    ("ChargeItem?service:below=Procedure/@step", "charge-step charge-stitch", "R4: it and what is part of it"),
    ("ChargeItem?service:above=Procedure/@step", "charge-step charge-surgery", "it and what it is part of, of the same type"),
    ("ChargeItem?service:above=Procedure/@stitch", "charge-stitch charge-step charge-surgery", "transitively"),
    # date, number, quantity, uri
    ("Patient?birthdate:missing=true", "banana nameless numbered unnumbered", "R4: 'present with extensions but no @value' is missing"),
    ("Patient?birthdate:missing=false", "ana accent", "a value"),
    ("RiskAssessment?probability:missing=true", "riskless", "no number"),
    ("RiskAssessment?probability:missing=false", "risky", "a number"),
    ("Observation?value-quantity:missing=false", "weighed", "a quantity"),
    ("ValueSet?url:missing=true", "nowhere", "no URL"),
    ("ValueSet?url:missing=false", "set below-a beside-a oid", "a URL"),
    ("ValueSet?url:below=http://acme.org/a", "set below-a", "the URL and those below it in its path"),
    ("ValueSet?url:below=http://acme.org", "set below-a beside-a", "the URL and those below it in its path"),
    ("ValueSet?url:above=http://acme.org/a/b/c", "set below-a", "those that it is below of"),
    ("Basic?_profile:below=http://acme.org/some-profile", "profile-1.0 profile-1.1 profile-2.0 profile-10", "R4: all versions of a canonical"),
    ("Basic?_profile:below=http://acme.org/some-profile|1", "profile-1.0 profile-1.1", "R4: matches the first two"),
]  # fmt: skip

ALLOWED = {
    "Patient?family": ("exact", "contains", "text", "missing"),  # :text as in public workloads: the same as :contains
    "Observation?method": ("not", "text", "in", "not-in", "above", "below", "missing"),  # of-type: of identifiers only
    "Patient?identifier": ("not", "text", "in", "not-in", "above", "below", "of-type", "missing"),
    "Patient?_id": ("not", "missing"),
    "Patient?_lastUpdated": ("missing",),
    "Patient?_sort": (),
    "Patient?_filter": (),
    "Observation?subject": ("identifier", "above", "below", "missing"),
    "Patient?birthdate": ("missing",),
    "RiskAssessment?probability": ("missing",),
    "Observation?value-quantity": ("missing",),
    "ValueSet?url": ("above", "below", "missing"),
    "Observation?code-value-quantity": (),
}
"""A parameter of each type, and the modifiers that R4 has for the type."""
EVERY = (
    "missing",
    "exact",
    "contains",
    "not",
    "text",
    "in",
    "not-in",
    "above",
    "below",
    "identifier",
    "of-type",
    "iterate",
)


@pytest.mark.parametrize(("query", "names", "reason"), FACTS)
async def test_facts(find, query: str, names: str, reason: str) -> None:
    assert sorted(await find(query)) == sorted(names.split()), reason


@pytest.mark.parametrize(
    ("parameter", "modifier"),
    [(parameter, modifier) for parameter, allowed in ALLOWED.items() for modifier in EVERY if modifier not in allowed]
    + [("Observation?method", "Patient"), ("Patient?family", "Patient"), ("Observation?subject", "Medication")],
)
async def test_others_are_refused(known, parameter: str, modifier: str) -> None:
    """R4: a server SHALL reject a modifier that it doesn't support for the parameter, and say so."""
    answer = await known.client.get(f"{parameter}:{modifier}=1")
    assert answer.status_code == 400
    [issue] = answer.json()["issue"]
    assert issue["expression"] == [parameter.partition("?")[2]]
    assert modifier in issue["diagnostics"]
