"""Modifier × type of parameter. https://hl7.org/fhir/R4/search.html#modifiers"""

from typing import Any

import pytest

SYSTEM = "http://acme.org/codes"
MRN = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}


def _observation(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **elements}


RESOURCES: dict[str, dict[str, Any]] = {
    "ana": {"resourceType": "Patient", "name": [{"family": "Ana"}], "birthDate": "2013"},
    "banana": {"resourceType": "Patient", "name": [{"family": "Banána"}, {"family": "Anabel"}]},
    "accent": {"resourceType": "Patient", "name": [{"family": "ána"}], "birthDate": "2014"},
    "nameless": {"resourceType": "Patient", "_birthDate": {"extension": [{"url": "http://x", "valueString": "unknown"}]}},
    "coded": _observation(method={"coding": [{"system": SYSTEM, "code": "a"}, {"system": SYSTEM, "code": "b"}]}),
    "other": _observation(method={"coding": [{"system": SYSTEM, "code": "c"}]}),
    "worded": _observation(method={"text": "a"}),
    "of-ana": _observation(subject={"reference": "Patient/@ana"}),
    "of-device": _observation(subject={"reference": "Device/@ana"}),
    "of-number": _observation(subject={"identifier": {"system": SYSTEM, "value": "7"}}),
    "of-both": _observation(subject={"reference": "Patient/@ana", "identifier": {"system": SYSTEM, "value": "7"}}),
    "weighed": _observation(valueQuantity={"value": 5}),
    "set": {"resourceType": "ValueSet", "status": "active", "url": "http://acme.org/a"},
    "nowhere": {"resourceType": "ValueSet", "status": "active"},
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
    ("Patient?family:missing=true", "nameless", "no family name"),
    ("Patient?family:missing=false", "ana banana accent", "one at least"),
    # token
    ("Observation?method=a", "coded", "one of the codings"),
    ("Observation?method:not=a", "other worded of-ana of-device of-number of-both weighed", "R4: also what has no value"),
    ("Observation?method:not=a,c", "worded of-ana of-device of-number of-both weighed", "none of them: the negation applies to the set"),
    ("Observation?method:not=b&method:missing=false", "other worded", "of those that have a value"),
    ("Observation?method:missing=false", "coded other worded", "a text is a value"),
    # reference
    ("Observation?subject=@ana", "of-ana of-device of-both", "an id of any type that subject can refer to"),
    ("Observation?subject:Patient=@ana", "of-ana of-both", "an id of this type"),
    ("Observation?subject:Device=@ana", "of-device", "an id of this type"),
    (f"Observation?subject:identifier={SYSTEM}|7", "of-number of-both", "the identifier of the reference, literal or not"),
    ("Observation?subject:identifier=7", "of-number of-both", "a token without system"),
    ("Observation?subject:identifier=8", "", "another identifier"),
    ("Observation?subject:missing=false", "of-ana of-device of-number of-both", "any reference"),
    # date, number, quantity, uri
    ("Patient?birthdate:missing=true", "banana nameless", "R4: 'present with extensions but no @value' is missing"),
    ("Patient?birthdate:missing=false", "ana accent", "a value"),
    ("RiskAssessment?probability:missing=true", "riskless", "no number"),
    ("RiskAssessment?probability:missing=false", "risky", "a number"),
    ("Observation?value-quantity:missing=false", "weighed", "a quantity"),
    ("ValueSet?url:missing=true", "nowhere", "no URL"),
    ("ValueSet?url:missing=false", "set", "a URL"),
]  # fmt: skip

ALLOWED = {
    "Patient?family": ("exact", "contains", "text", "missing"),  # :text as in public workloads: the same as :contains
    "Observation?method": ("not", "text", "in", "not-in", "above", "below", "of-type", "missing"),
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
