import pytest

from fhirserver.fhir.definitions import Definitions

INHERITED = {
    "_content", "_id", "_lastUpdated", "_profile", "_query", "_security", "_source", "_tag",
}  # fmt: skip


def test_all_of_the_core_and_no_examples(definitions: Definitions) -> None:
    urls = {
        parameter.url
        for name in definitions.resource_types
        for parameter in definitions.search_parameters(name).values()
    }
    # The package has 25 more: examples, and ones for extensions.
    assert len(urls) == 1375


def test_inherited(definitions: Definitions) -> None:
    assert INHERITED | {"_text"} <= definitions.search_parameters("Patient").keys()
    assert definitions.search_parameters("Bundle").keys() >= INHERITED
    # Bundle, Binary and Parameters are no DomainResource.
    assert "_text" not in definitions.search_parameters("Bundle")
    found = definitions.search_parameters("Patient")["_lastUpdated"]
    assert (found.base, found.type, found.expression) == ("Patient", "date", "Resource.meta.lastUpdated")


def test_without_expression(definitions: Definitions) -> None:
    for name in definitions.resource_types:
        parameters = definitions.search_parameters(name).values()
        without = {parameter.code for parameter in parameters if parameter.expression is None}
        assert without <= {"_text", "_content", "_query"}


def test_not_a_resource_type(definitions: Definitions) -> None:
    for name in ("HumanName", "Nothing"):
        with pytest.raises(KeyError):
            definitions.search_parameters(name)


@pytest.mark.parametrize(
    ("base", "code", "expression", "reason"),
    [
        ("Patient", "birthdate", "Patient.birthDate", "of Patient and Person, in R4 one parameter"),
        ("Observation", "patient", "Observation.subject.where(resolve() is Patient)", "of 33 types"),
        ("AllergyIntolerance", "patient", "AllergyIntolerance.patient", "the same parameter"),
        ("AllergyIntolerance", "code",
       "AllergyIntolerance.code | AllergyIntolerance.reaction.substance", "two left"),
        ("Condition", "onset-date", "Condition.onset.as(dateTime) | Condition.onset.as(Period)", "as()"),
        ("InsurancePlan", "name", "InsurancePlan.name | InsurancePlan.alias", "R4 leaves out the type"),
        ("Patient", "deceased", "Patient.deceased.exists() and Patient.deceased != false", "no union"),
        ("Observation", "combo-code-value-quantity", "Observation | Observation.component", "itself"),
        ("Observation", "value-quantity",
         "(Observation.value as Quantity) | (Observation.value as SampledData)", "parentheses"),
        ("Goal", "target-date", "(Goal.target.due as date)", "parentheses around all"),
    ],
)  # fmt: skip
def test_expression(definitions: Definitions, base: str, code: str, expression: str, reason: str) -> None:
    assert definitions.search_parameters(base)[code].expression == expression, reason


def test_expressions_begin_with_the_type(definitions: Definitions) -> None:
    for name in definitions.resource_types:
        for code, parameter in definitions.search_parameters(name).items():
            assert parameter.code == code
            assert parameter.base == name
            for alternative in (parameter.expression or name).split(" | "):
                assert alternative.lstrip("(").startswith((name, "Resource.", "DomainResource.")), parameter


def test_references_and_composites(definitions: Definitions) -> None:
    by_url = {}
    for name in definitions.resource_types:
        parameters = definitions.search_parameters(name)
        by_url = {parameter.url: parameter for parameter in parameters.values()}
        for parameter in parameters.values():
            assert (parameter.type == "composite") is bool(parameter.components)
            for component in parameter.components:
                assert component.definition in by_url, parameter
            for target in parameter.target_types:
                assert definitions.is_resource_type(target) or target == "Resource", parameter


def test_errors_of_r4_are_corrected(definitions: Definitions) -> None:
    relation = definitions.search_parameters("DocumentReference")["relationship"]
    assert [(part.definition.rsplit("/", 1)[-1], part.expression) for part in relation.components] == [
        ("DocumentReference-relatesto", "target"),
        ("DocumentReference-relation", "code"),
    ]
    assert definitions.search_parameters("Observation")["patient"].target_types == ("Patient",)
    value_date = definitions.search_parameters("Observation")["code-value-date"]
    assert value_date.components[1].expression == "value.as(dateTime) | value.as(Period)"


def test_description_is_that_of_the_type(definitions: Definitions) -> None:
    parameter = definitions.search_parameters("Observation")["patient"]
    assert parameter.description == "The subject that the observation is about (if patient)"
