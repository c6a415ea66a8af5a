"""A patient's record as a search tree: what a scope of the context `patient` is about.

https://hl7.org/fhir/R4/compartmentdefinition-patient.html, and decisions/0010 on where this departs from it.
"""

from fhirserver.fhir.datatypes.ids import home_bucket
from fhirserver.fhir.definitions import Definitions
from fhirserver.search.keys import ParameterKeys, self_key
from fhirserver.search.parameter_types import searchable
from fhirserver.search.query.tree import NOTHING, And, IdMatch, InBuckets, KeyMatch, Node
from fhirserver.search.types.reference import target_types


def record_of(definitions: Definitions, resource_type: str, patient: str) -> Node:
    """The tree that the resources of this type in the patient's record match, and no others.

    Of a type that is placed by its patient, those that are placed with this one: they are on the patient's shard. Of
    others in the Patient compartment, those that one of its parameters connects with the patient.
    """
    here = InBuckets((home_bucket(patient),))
    if resource_type == "Patient":
        return And((here, IdMatch((patient,))))
    placing = definitions.placing_parameters(resource_type)
    codes = placing or definitions.compartment("Patient").params.get(resource_type, ())
    parameters = searchable(definitions, resource_type)
    leading = sorted(code for code in codes if code in parameters and "Patient" in target_types(parameters[code]))
    if not leading:
        return NOTHING
    # All that place the type select the same element.
    used = leading[:1] if placing else leading
    keys = tuple(ParameterKeys(resource_type, code).reference ^ self_key("Patient", patient) for code in used)
    connected = KeyMatch(f"{','.join(used)}=Patient/{patient}", keys, selective=True)
    return And((here, connected)) if placing else connected
