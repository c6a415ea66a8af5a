"""Where the matches of a query live, where the query itself tells."""

from collections.abc import Sequence

from fhirserver.fhir.datatypes.ids import home_bucket
from fhirserver.fhir.definitions import Definitions
from fhirserver.search.types.clause import Clause
from fhirserver.search.types.reference import asked_targets


def buckets_of(clauses: Sequence[Clause], resource_type: str, definitions: Definitions) -> frozenset[int] | None:
    """The buckets that hold all matches; None if they can be anywhere.

    A clause on the parameter that places the type (`Observation?patient=…`) names the patients in whose buckets the
    matches are. `_id` tells the bucket of types that are not placed by a patient; the others may live elsewhere.
    """
    found: frozenset[int] | None = None
    for clause in clauses:
        buckets = _of_clause(clause, resource_type, definitions)
        if buckets is not None:
            found = buckets if found is None else found & buckets
    return found


def _of_clause(clause: Clause, resource_type: str, definitions: Definitions) -> frozenset[int] | None:
    code = clause.parameter.code
    if code == "_id" and clause.modifier is None:
        if resource_type == "Patient" or definitions.placing_element(resource_type) is None:
            return frozenset(home_bucket(value) for value in clause.values)
        return None
    if code not in definitions.placing_parameters(resource_type):
        return None
    if clause.modifier not in (None, "Patient"):
        return None
    targets = [target for value in clause.values for target in asked_targets(clause, value)]
    if not all(isinstance(target, tuple) and target[0] == "Patient" for target in targets):
        return None
    return frozenset(home_bucket(target[1]) for target in targets)
