"""Chains and `_has`: the tree they become, and what makes no sense.

https://hl7.org/fhir/R4/search.html#chaining and #has
"""

import pytest

from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.search.query.clauses import UnknownParameter

PERFORMERS = ("Practitioner", "Organization", "CareTeam", "Patient", "PractitionerRole", "RelatedPerson")


@pytest.mark.parametrize(
    ("resource_type", "name", "value", "tree"),
    [
        ("Observation", "patient.name", "Ana", "Observation.patient -> Patient(name starts 'ana')"),
        ("Observation", "subject:Patient.name:exact", "Ana", "Observation.subject:Patient -> Patient(name:exact=Ana)"),
        # a type that has no such parameter is no target
        ("Observation", "subject.birthdate", "1980", "Observation.subject -> Patient(birthdate=1980)"),
        ("Encounter", "subject.gender", "male", "Encounter.subject -> Patient(gender=male)"),
        (
            "Observation",
            "patient.organization.name",
            "x",
            "Observation.patient -> Patient(Patient.organization -> Organization(name starts 'x'))",
        ),
        (
            "Observation",
            "derived-from.based-on:MedicationRequest.status",
            "active",
            "Observation.derived-from -> Observation(Observation.based-on:MedicationRequest -> MedicationRequest(status=active))",
        ),
        ("Patient", "_has:Observation:patient:code", "c", "_has:Observation:patient <- Observation(code=c)"),
        (
            "Patient",
            "_has:Observation:patient:_has:AuditEvent:entity:outcome",
            "0",
            "_has:Observation:patient <- Observation(_has:AuditEvent:entity <- AuditEvent(outcome=0))",
        ),
        (
            "Encounter",
            "patient._has:Observation:patient:code",
            "c",
            "Encounter.patient -> Patient(_has:Observation:patient <- Observation(code=c))",
        ),
        (
            "Patient",
            "_has:Observation:patient:performer.identifier",
            "i",
            "_has:Observation:patient <- Observation(Observation.performer -> " + " | ".join(f"{name}(identifier=i)" for name in PERFORMERS) + ")",
        ),
    ],
)  # fmt: skip
def test_the_tree(searcher, resource_type, name, value, tree):
    request = searcher.parse(resource_type, (name, value))
    assert str(request.tree) == tree
    assert request.applied == ((name, value),)
    assert request.buckets is None


@pytest.mark.parametrize(
    ("resource_type", "name", "says"),
    [
        ("Patient", "name.family", "name is a string parameter and leads to no other resource"),
        ("Observation", "subject:Organization.name", "Organization"),
        ("Patient", "_has:Observation:code:value-quantity", "code is a token parameter"),
        ("Patient", "_has:Observation:encounter:code", "leads to Encounter, EpisodeOfCare, not to Patient"),
        ("Patient", "_has:Dog:patient:code", "no resource type 'Dog'"),
        ("Patient", "_has:Observation:patient", "_has:Type:parameter:parameter"),
        ("Patient", "_has", "_has:Type:parameter:parameter"),
        ("Observation", "patient.name:sounds", "takes no modifier 'sounds'"),
        ("Observation", "subject.name:sounds", "takes no modifier 'sounds'"),
        ("Observation", "patient.birthdate", "birthdate"),
        ("Patient", "link." * 9 + "name", "more than 8 references"),
        ("Patient", "_has:Patient:link:" * 9 + "name", "more than 8 references"),
    ],
)
def test_what_makes_no_sense(searcher, resource_type, name, says):
    with pytest.raises(InvalidRequest) as raised:
        searcher.parse(resource_type, (name, "x"), lenient=True)
    assert says in str(raised.value)


@pytest.mark.parametrize("name", ["patient.dog", "dog.name", "patient.dog.name", "_has:AuditEvent:patient:dog"])
def test_an_unknown_parameter_at_the_end_is_treated_as_any_unknown_one(searcher, name):
    with pytest.raises(UnknownParameter, match="'dog'"):
        searcher.parse("Observation" if "_has" not in name else "Patient", (name, "x"))
    request = searcher.parse("Observation" if "_has" not in name else "Patient", (name, "x"), lenient=True)
    assert len(request.ignored) == 1
    assert request.is_everything


def test_the_error_tells_that_nothing_else_has_it_either(searcher):
    with pytest.raises(UnknownParameter) as raised:
        searcher.parse("Observation", ("subject.dog", "x"))
    [issue] = raised.value.issues
    assert issue.diagnostics.endswith("has no search parameter 'dog', nor has anything else that subject leads to")
    assert issue.expression == ("subject.dog",)
