import re
import time

import pytest

from fhirserver.fhir.definitions import Definitions


def test_types(definitions: Definitions) -> None:
    assert definitions.fhir_version == "4.0.1"
    assert len(definitions.resource_types) == 146
    assert list(definitions.resource_types) == sorted(definitions.resource_types)
    assert len(definitions.data_types) == 61
    assert {"HumanName", "string", "Age", "Element", "BackboneElement", "xhtml"} <= set(definitions.data_types)


@pytest.mark.parametrize(
    ("name", "is_type", "reason"),
    [
        ("Patient", True, "has instances"),
        ("Resource", False, "abstract"),
        ("DomainResource", False, "abstract"),
        ("MetadataResource", False, "a pattern, not a type"),
        ("HumanName", False, "a data type"),
        ("patient", False, "lower case"),
        ("bodyheight", False, "a profile"),
        ("", False, "empty"),
    ],
)
def test_resource_type(definitions: Definitions, name: str, is_type: bool, reason: str) -> None:
    assert definitions.is_resource_type(name) is is_type, reason


@pytest.mark.parametrize("name", ["Nothing", "Patient.nothing", "Patient.name", "SimpleQuantity", "", "../index"])
def test_unknown_type(definitions: Definitions, name: str) -> None:
    with pytest.raises(KeyError):
        definitions.type(name)


def test_element(definitions: Definitions) -> None:
    observation = definitions.type("Observation")
    assert (observation.kind, observation.base, observation.abstract) == ("resource", "DomainResource", False)
    status = observation.elements["status"]
    assert (status.min, status.max, status.is_list, status.is_modifier, status.is_summary) == (
        1, 1, False, True, True,
    )  # fmt: skip
    assert status.binding is not None
    assert status.binding.strength == "required"
    assert status.binding.value_set == "http://hl7.org/fhir/ValueSet/observation-status"
    assert {"Patient", "Group", "Device", "Location"} == set(observation.elements["subject"].types[0].target_types)
    assert "obs-6" in {constraint.key for constraint in observation.constraints}
    assert list(observation.elements)[:4] == ["id", "meta", "implicitRules", "language"]


@pytest.mark.parametrize(
    ("type_name", "json_name", "type_code", "path", "reason"),
    [
        ("Observation", "valueQuantity", "Quantity", "Observation.value[x]", "a choice"),
        ("Observation", "valueDateTime", "dateTime", "Observation.value[x]", "a choice, primitive"),
        ("Observation", "component", "Observation.component", "Observation.component", "a backbone"),
        ("Observation.component", "referenceRange", "Observation.referenceRange",
         "Observation.component.referenceRange", "the content of another element"),
        ("Questionnaire.item", "item", "Questionnaire.item", "Questionnaire.item.item", "recursive"),
        ("Timing", "repeat", "Timing.repeat", "Timing.repeat", "an element with children in a data type"),
        ("Patient", "id", "id", "Patient.id", "R4 says string here, but means id"),
        ("Patient", "contained", "Resource", "Patient.contained", "inherited"),
        ("HumanName", "id", "string", "HumanName.id", "an element's id is a string"),
        ("Extension", "url", "uri", "Extension.url", "a bare value"),
        ("Narrative", "div", "xhtml", "Narrative.div", "XHTML"),
        ("positiveInt", "value", "positiveInt", "positiveInt.value", "a primitive's value"),
        ("Age", "value", "decimal", "Age.value", "inherited from Quantity"),
    ],
)  # fmt: skip
def test_property(
    definitions: Definitions, type_name: str, json_name: str, type_code: str, path: str, reason: str
) -> None:
    found = definitions.type(type_name).properties[json_name]
    assert (found.type_code, found.element.path) == (type_code, path), reason


def test_a_choice_has_no_property_of_its_own_name(definitions: Definitions) -> None:
    assert "value" not in definitions.type("Observation").properties
    assert len([name for name in definitions.type("Extension").properties if name.startswith("value")]) == 50


def test_every_name_leads_to_a_type(definitions: Definitions) -> None:
    left = [*definitions.resource_types, *definitions.data_types]
    seen = set(left)
    while left:
        for found in definitions.type(left.pop()).properties.values():
            for name in (found.type_code, *(t.code for t in found.element.types)):
                if name not in seen:
                    seen.add(name)
                    left.append(name)
            for type_ in found.element.types:
                assert {t for t in type_.target_types if not definitions.is_resource_type(t)} <= {"Resource"}
    assert {"Resource", "Bundle.entry.request", "ElementDefinition.slicing.discriminator"} <= seen


def test_primitives_have_the_expressions_of_r4(definitions: Definitions) -> None:
    regex = definitions.type("id").elements["value"].regex
    assert regex is not None
    assert re.fullmatch(regex, "a-1.b")


@pytest.mark.parametrize(
    ("value_set", "expected", "reason"),
    [
        ("administrative-gender", {"male", "female", "other", "unknown"}, "a whole code system"),
        ("administrative-gender|4.0.1", {"male", "female", "other", "unknown"}, "with a version"),
        ("contact-point-use", {"home", "work", "temp", "old", "mobile"}, "another"),
        ("mimetypes", None, "all media types"),
        ("currencies", None, "all currencies"),
        ("ucum-units", None, "all units"),
    ],
)
def test_value_set(definitions: Definitions, value_set: str, expected: set[str] | None, reason: str) -> None:
    codes = definitions.value_set_codes(f"http://hl7.org/fhir/ValueSet/{value_set}")
    assert (codes if codes is None else set().union(*codes.values())) == expected, reason


def test_value_sets_of_required_bindings(definitions: Definitions) -> None:
    not_listed = {
        binding.value_set.rsplit("/", 1)[-1]
        for name in definitions.resource_types
        for element in definitions.type(name).elements.values()
        if (binding := element.binding) and binding.strength == "required"
        and definitions.value_set_codes(binding.value_set) is None
    }  # fmt: skip
    assert not_listed <= {"mimetypes", "currencies", "ucum-units", "LL379-9"}
    types = definitions.value_set_codes("http://hl7.org/fhir/ValueSet/resource-types")
    assert types is not None
    assert set(definitions.resource_types) < types["http://hl7.org/fhir/resource-types"]


def test_compartments(definitions: Definitions) -> None:
    assert set(definitions.compartments) == {
        "Patient",
        "Encounter",
        "RelatedPerson",
        "Practitioner",
        "Device",
    }
    patient = definitions.compartment("Patient")
    assert patient.url == "http://hl7.org/fhir/CompartmentDefinition/patient"
    assert patient.params["Observation"] == ("subject", "performer")
    assert "Organization" not in patient.params
    for code in definitions.compartments:
        for name, params in definitions.compartment(code).params.items():
            assert set(params) <= {"{def}", *definitions.search_parameters(name)}, (code, name)
    with pytest.raises(KeyError):
        definitions.compartment("Organization")


def test_operations(definitions: Definitions) -> None:
    codes = {(operation.code, *operation.resource_types) for operation in definitions.operations.values()}
    assert len(definitions.operations) == 46
    assert {("everything", "Patient"), ("validate", "Resource"), ("lastn", "Observation")} <= codes


def test_loading_is_fast() -> None:
    def seconds() -> float:
        start = time.perf_counter()
        Definitions.load()
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < 0.3
