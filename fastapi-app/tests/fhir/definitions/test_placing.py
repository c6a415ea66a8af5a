import pytest

from fhirserver.fhir.definitions import Definitions


@pytest.mark.parametrize(
    ("resource_type", "element", "parameters", "reason"),
    [
        ("Observation", "subject", {"subject", "patient"}, "patient is subject.where(resolve() is Patient)"),
        ("Encounter", "subject", {"subject", "patient"}, "the same"),
        ("Immunization", "patient", {"patient"}, "an element called patient"),
        ("AllergyIntolerance", "patient", {"patient"}, "not the recorder or asserter"),
        ("Claim", "patient", {"patient"}, "not the payee"),
        ("Coverage", "beneficiary", {"beneficiary", "patient"}, "what the parameter patient selects"),
        ("Task", "for", {"subject", "patient"}, "a name that is a keyword elsewhere"),
        ("ResearchSubject", "individual", {"individual", "patient"}, "what the parameter patient selects"),
        ("SupplyRequest", "deliverTo", {"subject"}, "the only one in the compartment"),
        ("Basic", "subject", {"subject", "patient"}, "may refer to any type"),
        ("Patient", None, set(), "a patient is placed by its own id"),
        ("Organization", None, set(), "in no compartment"),
        ("Practitioner", None, set(), "in no patient's compartment"),
        ("Group", None, set(), "its members are many"),
        ("Appointment", None, set(), "its participants are many"),
        ("Person", None, set(), "its links are many"),
        ("Schedule", None, set(), "its actors are many"),
        ("Account", None, set(), "its subjects are many"),
        ("Bundle", None, set(), "no record"),
    ],
)
def test_placing(
    definitions: Definitions, resource_type: str, element: str | None, parameters: set[str], reason: str
) -> None:
    assert definitions.placing_element(resource_type) == element, reason
    assert definitions.placing_parameters(resource_type) == parameters, reason


def test_how_many_types_are_placed_with_a_patient(definitions: Definitions) -> None:
    placed = [name for name in definitions.resource_types if definitions.placing_element(name)]
    assert len(placed) == 61
    for name in placed:
        element = definitions.type(name).elements[definitions.placing_element(name) or ""]
        assert element.max == 1


@pytest.mark.parametrize(
    ("resource_type", "code", "reason"),
    [
        ("Observation", "date", "the usual name"),
        ("Patient", "birthdate", "not death-date"),
        ("Condition", "onset-date", "what happened before what was recorded"),
        ("MedicationRequest", "authoredon", "not date, of which each dosage has some"),
        ("Substance", None, "expiry is that of its instances"),
        ("Medication", "expiration-date", "of its batch, of which there is one"),
        ("Claim", "created", "the only one"),
        ("ImagingStudy", "started", "the only one"),
        ("Task", "period", "not authored-on or modified, which are of the paper"),
        ("DetectedIssue", "identified", "none of the usual names"),
        ("Organization", None, "no date but _lastUpdated"),
    ],
)
def test_principal_date(definitions: Definitions, resource_type: str, code: str | None, reason: str) -> None:
    assert definitions.principal_date(resource_type) == code, reason


def test_unknown_types(definitions: Definitions) -> None:
    for ask in (definitions.placing_element, definitions.placing_parameters, definitions.principal_date):
        with pytest.raises(KeyError):
            ask("Nothing")
