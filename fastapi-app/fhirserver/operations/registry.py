"""The operations that this server has.

An operation is one line in `OPERATIONS`: what defines it and what carries it out. Where it can be called, and with
which parameters, its definition says: the id of one of R4's own, or an `OperationDefinition` made here.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.definitions.operations import OperationDefinition
from fhirserver.fhir.outcomes import Forbidden, NotFound, UnsupportedOperation
from fhirserver.interactions.context import Call, Server
from fhirserver.interactions.versions import require_id, require_type
from fhirserver.operations import meta, reindex, validate, versions
from fhirserver.operations.answer import Accepted
from fhirserver.operations.invocation import Invocation, arguments_of
from fhirserver.operations.terminology import expand, lookup, subsumes, translate, validate_code

Run = Callable[[Server, Call, Invocation], Awaitable[bytes | Accepted]]
"""Carries it out; the JSON text of a resource: Parameters or, where there is just one result, that resource. What a job
does is `Accepted`."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation. `levels` are those of its definition that work here; empty: all of them.

    `changes`: it changes something, though R4's definition does not say so. `tells_of_type`: what it answers depends on
    whatever is stored of its type; it is for those who may search all of it.
    """

    definition: str | OperationDefinition
    run: Run
    levels: tuple[str, ...] = ()
    changes: bool = False
    tells_of_type: bool = False


OPERATIONS = (
    Operation("ValueSet-expand", expand.expand, tells_of_type=True),
    Operation("ValueSet-validate-code", validate_code.in_value_set, tells_of_type=True),
    Operation("CodeSystem-validate-code", validate_code.in_code_system, tells_of_type=True),
    Operation("CodeSystem-lookup", lookup.lookup, tells_of_type=True),
    Operation("CodeSystem-subsumes", subsumes.subsumes, tells_of_type=True),
    Operation("ConceptMap-translate", translate.translate, tells_of_type=True),
    Operation("CapabilityStatement-versions", versions.versions),
    Operation("Resource-validate", validate.validate),
    Operation("Resource-meta", meta.meta, ("instance",)),
    Operation("Resource-meta-add", meta.add, changes=True),
    Operation("Resource-meta-delete", meta.delete, changes=True),
    Operation(reindex.DEFINITION, reindex.reindex),
)


@dataclass(frozen=True, slots=True)
class Available:
    """An operation with its definition, and the levels at which it can be called. `changes`: by POST only."""

    definition: OperationDefinition
    run: Run
    levels: frozenset[str]
    changes: bool
    tells_of_type: bool

    def is_for(self, resource_type: str) -> bool:
        """Whether it can be called on this type or its instances."""
        return bool(self.levels - {"system"}) and (
            "Resource" in self.definition.resource_types or resource_type in self.definition.resource_types
        )


@lru_cache(maxsize=8)
def available(definitions: Definitions) -> Mapping[str, Sequence[Available]]:
    """All operations by code. Several may share one: `ValueSet/$validate-code`, `CodeSystem/$validate-code`."""
    found: dict[str, list[Available]] = {}
    for operation in OPERATIONS:
        definition = operation.definition
        if isinstance(definition, str):
            definition = definitions.operations[definition]
        levels = {level for level in ("system", "type", "instance") if getattr(definition, level)}
        levels &= set(operation.levels or levels)
        changes = operation.changes or definition.affects_state
        made = Available(definition, operation.run, frozenset(levels), changes, operation.tells_of_type)
        found.setdefault(definition.code, []).append(made)
    return found


def find(definitions: Definitions, code: str, resource_type: str | None, level: str) -> Available:
    """The operation `$code` at a level (`system`, `type`, `instance`). `NotFound` if there is none."""
    for operation in available(definitions).get(code, ()):
        if level in operation.levels and (resource_type is None or operation.is_for(resource_type)):
            return operation
    where = f"on a {resource_type} resource" if level == "instance" else f"on {resource_type or 'the system'}"
    raise NotFound(f"there is no operation ${code[:80]} {where}", code="not-supported")


async def invoke(
    server: Server,
    call: Call,
    code: str,
    resource_type: str | None,
    id: str | None,
    query: Sequence[tuple[str, str]],
    body: dict[str, Any] | None,
    *,
    is_get: bool,
    text: bytes | None = None,
) -> bytes | Accepted:
    """Carry out `$code` (without the $) on the system, a type, or an instance; the resource it answers with.

    `text` is the JSON that the body came in.

    Raises `NotFound` for what is not there, `UnsupportedOperation` for GET where the operation changes something,
    what `arguments_of` raises, and what the operation does.
    """
    if resource_type is not None:
        require_type(server, resource_type)
    if id is not None:
        require_id(id)
    level = "system" if resource_type is None else "type" if id is None else "instance"
    operation = find(server.definitions, code, resource_type, level)
    if is_get and operation.changes:
        raise UnsupportedOperation(f"${code} changes something: it has to be called by POST")
    if operation.tells_of_type and any(
        call.policy.restriction("search", name) is not None for name in operation.definition.resource_types
    ):
        raise Forbidden(f"{call.caller.name} has no permission to search every {resource_type}, as ${code} does")
    arguments = arguments_of(operation.definition, query, body, server.definitions, server.validator)
    return await operation.run(server, call, Invocation(resource_type, id, arguments, text))
