"""Slices: facts, each with the reason at its end."""

from typing import Any

import pytest

from fhirserver.fhir.validation.validator import Validator

from .structures import R4, URL, Json, by, element, extension, lookup, profile

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"


def concept(code: str, system: str = LOINC) -> Json:
    return {"coding": [{"system": system, "code": code}]}


def observation(**elements: Any) -> Json:
    return {"resourceType": "Observation", "status": "final", "code": concept("1-8"), **elements}


def with_categories(*codes: str) -> Json:
    return observation(category=[concept(code, "s:s") for code in codes])


def with_components(*codes: str) -> Json:
    return observation(component=[{"code": concept(code), "valueInteger": 1} for code in codes])


def bundle(*resources: Json) -> Json:
    entries = [{"fullUrl": f"http://a/{item['resourceType']}/{item['id']}", "resource": item} for item in resources]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def slices(path: str, slicing: Json, key: str, **each: Json) -> list[Json]:
    """An element with slices, which have their rules and, at `key`, what they are told by."""
    found = [element(path, slicing=slicing)]
    for name, rules in each.items():
        own = {rule: value for rule, value in rules.items() if rule not in ("told", "within")}
        found.append(element(f"{path}:{name}", **own))
        if "told" in rules:
            found.append(element(f"{path}:{name}{key}", **rules["told"]))
        found += [element(f"{path}:{name}.{inner}", **facets) for inner, facets in rules.get("within", {}).items()]
    return found


def code(text: str) -> Json:
    return {"patternCodeableConcept": concept(text)}


CATEGORY = "Observation.category"
BY_CODE = [
    *slices(CATEGORY, by("value:coding.code", "value:coding.system"), "", lab={"min": 1, "max": "1"}),
    element(f"{CATEGORY}:lab.coding", min=1),
    element(f"{CATEGORY}:lab.coding.system", min=1, fixedUri="s:s"),
    element(f"{CATEGORY}:lab.coding.code", min=1, fixedCode="lab"),
]
BY_PATTERN = slices(CATEGORY, by("pattern:$this"), "", lab={"min": 1, "max": "1",
                    "patternCodeableConcept": concept("lab", "s:s")})  # fmt: skip
BY_VALUE_SET = slices(CATEGORY, by("value:$this"), "", a={
    "min": 1, "binding": {"strength": "required", "valueSet": "http://example.org/ValueSet/a"},
})  # fmt: skip
COMPONENT = "Observation.component"
TWO = slices(
    COMPONENT,
    by("pattern:code"),
    ".code",
    one={"min": 1, "max": "1", "told": code("1"), "within": {"value[x]": {"min": 1, "type": [{"code": "Quantity"}]}}},
    two={"min": 0, "max": "1", "told": code("2")},
)


def ruled(**rules: Any) -> list[Json]:
    """Two kinds of components, with these rules."""
    own = {"rules": rules.pop("rules", "open"), **rules}
    return slices(COMPONENT, by("value:code", **own), ".code", one={"told": code("1")}, two={"told": code("2")})


BY_ANCESTOR = slices(COMPONENT, by("value:code.coding.code"), ".code", one={"min": 1, "told": code("1")})
BY_EXISTENCE = slices(COMPONENT, by("exists:interpretation"), ".interpretation",
                      told={"max": "1", "told": {"min": 1}}, untold={"max": "1", "told": {"max": "0"}})  # fmt: skip
BY_TYPE = [
    element("Observation.value[x]", slicing=by("type:$this", rules="open")),
    element("Observation.value[x]:valueQuantity", min=0, max="1", type=[{"code": "Quantity"}]),
    element("Observation.value[x]:valueQuantity.code", min=1),
]
BY_TYPE_CLOSED = [element("Observation.value[x]", slicing=by("type:$this", rules="closed")), *BY_TYPE[1:]]
BY_URL = [element("Patient.extension:e", min=1, max="1", type=[{"code": "Extension", "profile": [URL + "e"]}])]
EXTENSION = extension("e", element("Extension.value[x]", min=1, type=[{"code": "string"}]))
RESLICED = [
    *slices(CATEGORY, by("value:coding.system"), "", s={}),
    element(f"{CATEGORY}:s.coding.system", min=1, fixedUri="s:s"),
    element(f"{CATEGORY}:s", slicing=by("value:coding.code")),
    element(f"{CATEGORY}:s/a", min=1, max="1"),
    element(f"{CATEGORY}:s/a.coding.code", min=1, fixedCode="a"),
]
DEFAULT = [
    *slices(COMPONENT, by("pattern:code", rules="closed"), ".code", one={"told": code("1")}),
    element(f"{COMPONENT}:@default"),
    element(f"{COMPONENT}:@default.value[x]", max="0"),
]
ENTRY = "Bundle.entry"
BY_RESOURCE_TYPE = [
    element(ENTRY, slicing=by("type:resource", rules="closed")),
    element(f"{ENTRY}:patient", min=1, max="1"),
    element(f"{ENTRY}:patient.resource", min=1, type=[{"code": "Patient"}]),
    element(f"{ENTRY}:other", min=0, max="*"),
    element(f"{ENTRY}:other.resource", min=1, type=[{"code": "Observation"}]),
]
NAMED = profile("named", "Patient", element("Patient.name", min=1))
BY_PROFILE = [
    element(ENTRY, slicing=by("profile:resource")),
    element(f"{ENTRY}:named", min=1, max="1"),
    element(f"{ENTRY}:named.resource", min=1, type=[{"code": "Patient", "profile": [URL + "named"]}]),
]
MEMBER = "Observation.hasMember"
BY_TARGET = [
    element(MEMBER, slicing=by("type:resolve()")),
    element(
        f"{MEMBER}:answers", max="0", type=[{"code": "Reference", "targetProfile": [R4 + "QuestionnaireResponse"]}]
    ),
]
CODED = profile("coded", "Observation", element("Observation.code", patternCodeableConcept=concept("7")))
BY_CODE_OF_TARGET = [
    element(MEMBER, slicing=by("value:resolve().code")),
    element(f"{MEMBER}:coded", min=1, type=[{"code": "Reference", "targetProfile": [URL + "coded"]}]),
]
BY_PART_OF_EXTENSION = [
    element("Patient.name", slicing=by(f"value:extension('{URL}e').value")),
    element("Patient.name:e", min=1),
    element("Patient.name:e.extension:e", min=1, type=[{"code": "Extension", "profile": [URL + "e"]}]),
    element("Patient.name:e.extension:e.value[x]", patternString="x"),
]
BY_TYPED_VALUE = [
    element(COMPONENT, slicing=by("value:value.ofType(Quantity).code")),
    element(f"{COMPONENT}:kg", max="1"),
    element(f"{COMPONENT}:kg.value[x]", min=1, type=[{"code": "Quantity"}]),
    element(f"{COMPONENT}:kg.value[x].code", min=1, fixedCode="kg"),
]
ID = {"resourceType": "Patient", "id": "a"}
MET = with_components("1")
WEIGHTS = [
    {"code": concept("1"), "valueQuantity": {"value": 1, "system": UCUM, "code": unit}} for unit in ("kg", "g", "kg")
]
CASES: list[tuple[list[Json], Json, list[tuple[str, str]], str]] = [
    # discriminators
    (BY_CODE, with_categories("lab"), [], "told by two values"),
    (BY_CODE, with_categories("x", "lab"), [], "open: others are allowed"),
    (BY_CODE, with_categories("x"), [("required", CATEGORY)], "there is none with both values"),
    (BY_CODE, observation(), [("required", CATEGORY)], "there is nothing at all"),
    (BY_CODE, observation(category=[concept("lab", "t:t")]), [("required", CATEGORY)], "one of two is no slice"),
    (BY_CODE, with_categories("lab", "x", "lab"), [("structure", f"{CATEGORY}[2]")], "one too many"),
    (BY_PATTERN, with_categories("x", "lab"), [], "told by a pattern"),
    (BY_PATTERN, with_categories("x"), [("required", CATEGORY)], "nothing has the pattern"),
    (BY_VALUE_SET, with_categories("x", "a"), [], "told by a value set"),
    (BY_VALUE_SET, with_categories("x"), [("required", CATEGORY)], "no code of the value set"),
    (BY_ANCESTOR, with_components("1"), [], "told by a pattern above the path"),
    (BY_ANCESTOR, with_components("2"), [("required", COMPONENT)], "another code"),
    (BY_EXISTENCE, observation(component=[{"code": concept("1"), "interpretation": [concept("x")]}, {"code": concept("2")}]),
     [], "one that has it, one that has not"),
    (BY_EXISTENCE, observation(component=[{"code": concept("1")}, {"code": concept("2")}]),
     [("structure", f"{COMPONENT}[1]")], "two that have it not"),
    (BY_TYPE, observation(valueQuantity={"value": 1, "system": UCUM, "code": "kg"}), [], "told by its type"),
    (BY_TYPE, observation(valueQuantity={"value": 1}), [("required", "Observation.valueQuantity")], "what the slice says"),
    (BY_TYPE, observation(valueString="x"), [], "another type"),
    (BY_TYPE_CLOSED, observation(valueString="x"), [("structure", "Observation.valueString")], "no other type"),
    (BY_URL, {**ID, "extension": [{"url": URL + "e", "valueString": "x"}]}, [], "told by the url"),
    (BY_URL, {**ID, "extension": [{"url": URL + "f", "valueString": "x"}]}, [("required", "Patient.extension")],
     "another extension"),
    (BY_URL, {**ID, "extension": [{"url": URL + "e", "valueInteger": 1}]},
     [("structure", "Patient.extension[0].valueInteger")], "of the slice, and not as it is defined"),
    (BY_RESOURCE_TYPE, bundle(ID, observation(id="b")), [], "told by the type of a resource"),
    (BY_RESOURCE_TYPE, bundle(ID, {"resourceType": "Group", "id": "b", "type": "person", "actual": True}),
     [("structure", "Bundle.entry[1]")], "a resource of no slice"),
    (BY_PROFILE, bundle(ID, ID | {"id": "b", "name": [{"text": "x"}]}), [], "told by a profile"),
    (BY_PROFILE, bundle(ID), [("required", ENTRY)], "nothing conforms to it"),
    (BY_TARGET, observation(hasMember=[{"reference": "Observation/1"}]), [], "told by the type of what is referred to"),
    (BY_TARGET, observation(hasMember=[{"reference": "Observation/1"}, {"reference": "QuestionnaireResponse/1"}]),
     [("structure", f"{MEMBER}[1]")], "the type that is forbidden"),
    (BY_CODE_OF_TARGET, observation(contained=[observation(id="m", code=concept("7"))], hasMember=[{"reference": "#m"}]),
     [], "told by what is in the target"),
    (BY_CODE_OF_TARGET, observation(contained=[observation(id="m")], hasMember=[{"reference": "#m"}]),
     [("required", MEMBER)], "the target is another"),
    (BY_PART_OF_EXTENSION, {**ID, "name": [{"extension": [{"url": URL + "e", "valueString": "x"}]}]}, [],
     "told by an extension"),
    (BY_PART_OF_EXTENSION, {**ID, "name": [{"extension": [{"url": URL + "e", "valueString": "y"}]}]},
     [("required", "Patient.name")], "the extension says something else"),
    (BY_TYPED_VALUE, observation(component=WEIGHTS[:2]), [], "told by a part of one type of value"),
    (BY_TYPED_VALUE, observation(component=WEIGHTS), [("structure", f"{COMPONENT}[2]")], "two of at most one"),
    # what is in slices
    (TWO, observation(component=[{"code": concept("1"), "valueQuantity": {"value": 1}}]), [], "what the slice says"),
    (TWO, MET, [("structure", f"{COMPONENT}[0].valueInteger")], "a type that only this slice forbids"),
    (TWO, observation(component=[{"code": concept("1")}]), [("required", f"{COMPONENT}[0]")], "what only it requires"),
    (TWO, with_components("2", "3"), [("required", COMPONENT)], "of no meaning for others"),
    # rules
    (ruled(), with_components("3", "2", "1"), [], "open, in any order"),
    (ruled(rules="closed"), with_components("1", "3"), [("structure", f"{COMPONENT}[1]")], "closed: nothing else"),
    (ruled(rules="openAtEnd"), with_components("2", "1", "3"), [], "others at the end"),
    (ruled(rules="openAtEnd"), with_components("2", "3", "1"), [("structure", f"{COMPONENT}[2]")], "and only there"),
    (ruled(ordered=True), with_components("1", "3", "1", "2"), [], "in the order of the slices"),
    (ruled(ordered=True), with_components("2", "1"), [("structure", f"{COMPONENT}[1]")], "not in their order"),
    (RESLICED, with_categories("a", "b"), [], "slices of a slice"),
    (RESLICED, with_categories("b"), [("required", CATEGORY)], "the inner one is missing"),
    (RESLICED, with_categories("a", "a"), [("structure", f"{CATEGORY}[1]")], "one of the inner ones too many"),
    (RESLICED, observation(category=[concept("a", "t:t")]), [("required", CATEGORY)], "only of the outer slice"),
    (DEFAULT, observation(component=[{"code": concept("1"), "valueInteger": 1}, {"code": concept("2")}]), [],
     "the rest is of the default slice"),
    (DEFAULT, with_components("1", "2"), [("structure", f"{COMPONENT}[1].valueInteger")], "which has rules of its own"),
]  # fmt: skip


def contains(value_set: str, system: str | None, code: str) -> bool | None:
    return code == "a" if value_set == "http://example.org/ValueSet/a" else None


@pytest.mark.parametrize(("elements", "resource", "expected", "why"), CASES)
def test_slices(
    validator: Validator, elements: list[Json], resource: Json, expected: list[tuple[str, str]], why: str
) -> None:
    structures = lookup(profile("p", resource["resourceType"], *elements), EXTENSION, NAMED, CODED)
    assert validator.validate(resource) == [], "R4 itself allows it"
    issues = validator.with_structures(structures, contains).validate(resource, profiles=[URL + "p"])
    assert [(issue.code, issue.expression[0]) for issue in issues] == expected, why


def test_the_slice_is_named(validator: Validator) -> None:
    own = validator.with_structures(lookup(profile("p", "Observation", *TWO)))
    (issue,) = own.validate(MET, profiles=[URL + "p"])
    assert issue.diagnostics == f"valueInteger must be of type Quantity ({URL}p, slice component:one)"
    (issue,) = own.validate(observation(), profiles=[URL + "p"])
    assert issue.diagnostics == f"component for slice one is missing ({URL}p, slice component:one)"


def test_what_can_not_be_told_is_said(validator: Validator) -> None:
    """A slice that does not say how it is known: a warning, and the rest is checked."""
    untold = slices(COMPONENT, by("value:interpretation"), "", one={"min": 1})
    own = validator.with_structures(lookup(profile("p", "Observation", *untold, element("Observation.method", min=1))))
    assert [(issue.severity, issue.code) for issue in own.validate(observation(), profiles=[URL + "p"])] == [
        ("warning", "processing"),
        ("error", "required"),
    ]
