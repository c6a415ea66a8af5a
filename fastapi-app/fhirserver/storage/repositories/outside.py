"""Which patients' compartments have contents outside of the patient's bucket, by type (decisions/0007).

Notes are kept when what they are about is gone: then a search looks further than it has to.
"""

from collections.abc import Iterable, Sequence

from fhirserver.fhir.datatypes.ids import home_bucket
from fhirserver.storage.statements import Statement, Statements

NOTE = Statement(
    "note_outside",
    "INSERT INTO compartment_outside (bucket, patient, resource_type)"
    " SELECT * FROM unnest($1::int[], $2::text[], $3::text[]) ON CONFLICT DO NOTHING",
)
IS_OUTSIDE = Statement(
    "is_outside",
    "SELECT 1 FROM compartment_outside WHERE bucket = $1 AND patient = $2 AND resource_type = ANY($3::text[]) LIMIT 1",
)


async def note(statements: Statements, elsewhere: Iterable[tuple[str, str]]) -> None:
    """Note the (patient, resource type) of what belongs to patients who live in other buckets."""
    notes = sorted({(home_bucket(patient), patient, resource_type) for patient, resource_type in elsewhere})
    if notes:
        await statements.run(NOTE, *([*column] for column in zip(*notes, strict=True)))


async def is_outside(statements: Statements, patient: str, types: Sequence[str]) -> bool:
    """Whether resources of these types that live outside of the patient's bucket can be in the compartment."""
    return await statements.row(IS_OUTSIDE, home_bucket(patient), patient, list(types)) is not None
