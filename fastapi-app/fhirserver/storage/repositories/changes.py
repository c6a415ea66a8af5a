"""How many changes there were of a type of resource: the count goes up in the transaction that writes."""

from fhirserver.storage.statements import Statement, Statements

COUNT = Statement(
    "conformance_change",
    "INSERT INTO conformance_change AS change VALUES ($1, 1)"
    " ON CONFLICT (resource_type) DO UPDATE SET number = change.number + 1 RETURNING number",
)


async def count(statements: Statements, resource_type: str) -> int:
    """One change more. Until the transaction ends, others that change something of the type wait."""
    return int((await statements.row(COUNT, resource_type))["number"])
