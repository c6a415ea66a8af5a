"""The parameter types of R4, a file each: which modifiers it has, what a query value means, what is indexed.

Each module has

- `MODIFIERS`, the modifiers besides `missing`,
- `indexer(source) -> Index | None`: how values of one FHIR type are indexed; None if they can't be,
- `parse(clause) -> Node`: what a clause of a query asks for.
"""
