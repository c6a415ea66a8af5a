"""A patient's record as a search tree: what a scope of the context `patient` is about.

https://hl7.org/fhir/R4/compartmentdefinition-patient.html, and decisions/0010 on where this departs from it.
"""

from collections.abc import Collection, Iterable, Sequence

from fhirserver.fhir.datatypes.ids import home_bucket
from fhirserver.fhir.definitions import Definitions
from fhirserver.search.keys import ParameterKeys, self_key
from fhirserver.search.parameter_types import searchable
from fhirserver.search.query.tree import NOTHING, And, IdMatch, InBuckets, KeyMatch, Node, PlacedIdMatch, PlacedMatch
from fhirserver.search.types.reference import target_types


def record_of(definitions: Definitions, resource_type: str, patient: str) -> Node:
    """The tree that the resources of this type in the patient's record match, and no others.

    Of a type that is placed by its patient, those that are placed with this one: they are on the patient's shard. Of
    others in the Patient compartment, those that one of its parameters connects with the patient.
    """
    here = InBuckets((home_bucket(patient),))
    if resource_type == "Patient":
        return And((here, IdMatch((patient,))))
    used = _connecting(definitions, resource_type)
    if not used:
        return NOTHING
    connected = KeyMatch(f"{','.join(used)}=Patient/{patient}", _keys(resource_type, used, (patient,)), selective=True)
    return And((here, connected)) if definitions.placing_parameters(resource_type) else connected


def records_of(definitions: Definitions, resource_type: str, patients: Collection[str]) -> Node:
    """The tree of the resources of this type in the records of any of these patients."""
    if resource_type == "Patient":
        ids = tuple(sorted(patients))
        return PlacedIdMatch(ids, by_bucket={bucket: tuple(here) for bucket, here in _by_bucket(ids).items()})
    used = _connecting(definitions, resource_type)
    label = f"{','.join(used)} is one of {len(patients)} patients"
    keys = _keys(resource_type, used, sorted(patients))
    if not keys:
        return NOTHING
    if not definitions.placing_parameters(resource_type):
        return KeyMatch(label, keys)
    places = {bucket: _keys(resource_type, used, here) for bucket, here in _by_bucket(sorted(patients)).items()}
    return PlacedMatch(label, keys, by_bucket=places)


def _by_bucket(patients: Iterable[str]) -> dict[int, list[str]]:
    """The patients by the bucket where their records are."""
    found: dict[int, list[str]] = {}
    for patient in patients:
        found.setdefault(home_bucket(patient), []).append(patient)
    return found


def _connecting(definitions: Definitions, resource_type: str) -> Sequence[str]:
    """The parameters that connect resources of this type with the patient whose they are."""
    placing = definitions.placing_parameters(resource_type)
    codes = placing or definitions.compartment("Patient").params.get(resource_type, ())
    parameters = searchable(definitions, resource_type)
    leading = sorted(code for code in codes if code in parameters and "Patient" in target_types(parameters[code]))
    # All that place the type select the same element.
    return leading[:1] if placing else leading


def _keys(resource_type: str, parameters: Iterable[str], patients: Iterable[str]) -> tuple[int, ...]:
    references = [ParameterKeys(resource_type, code).reference for code in parameters]
    targets = [self_key("Patient", patient) for patient in patients]
    return tuple(reference ^ target for target in targets for reference in references)
