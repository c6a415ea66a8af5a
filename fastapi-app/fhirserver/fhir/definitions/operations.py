"""Operations, as OperationDefinitions describe them.

https://hl7.org/fhir/R4/operationdefinition.html
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class OperationParameter:
    """A parameter that goes in. `max` is None for any number; `type` is None for one that has `parts`."""

    name: str
    type: str | None
    min: int = 0
    max: int | None = 1
    documentation: str = ""
    parts: tuple["OperationParameter", ...] = ()


@dataclass(frozen=True, slots=True)
class OperationDefinition:
    """What can be called `$code`, where, and with what. `affects_state`: by POST only."""

    code: str
    url: str
    title: str
    description: str
    system: bool
    type: bool
    instance: bool
    resource_types: tuple[str, ...]
    parameters: tuple[OperationParameter, ...] = ()
    affects_state: bool = False

    def parameter(self, name: str) -> OperationParameter | None:
        """The parameter of this name that goes in."""
        return next((known for known in self.parameters if known.name == name), None)


def read_operation(content: dict[str, Any]) -> OperationDefinition:
    """An OperationDefinition resource."""
    return OperationDefinition(
        code=content["code"],
        url=content["url"],
        title=content.get("title") or content["name"],
        description=content.get("description", ""),
        system=content["system"],
        type=content["type"],
        instance=content["instance"],
        resource_types=tuple(content.get("resource", ())),
        parameters=tuple(_parameter(item) for item in content.get("parameter", ()) if item["use"] == "in"),
        affects_state=content.get("affectsState", False),
    )


def _parameter(content: dict[str, Any]) -> OperationParameter:
    return OperationParameter(
        name=content["name"],
        type=content.get("type"),
        min=content["min"],
        max=None if content["max"] == "*" else int(content["max"]),
        documentation=content.get("documentation", ""),
        parts=tuple(_parameter(part) for part in content.get("part", ())),
    )
