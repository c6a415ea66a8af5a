"""Search parameters of a resource type.

https://hl7.org/fhir/R4/searchparameter.html
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Component:
    """A part of a composite: the URL of its search parameter, and an expression on the composite's value."""

    definition: str
    expression: str


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """A search parameter as it applies to `base`.

    `expression` has only the alternatives for `base` (they start with its name, or with Resource or
    DomainResource); None for `_text`, `_content` and `_query`. `target_types` are those of a reference.
    Where nothing is said, `comparators` and `modifiers` are empty, `multiple_or` and `multiple_and` None; else only
    those that are listed are allowed. `source` is the id of the SearchParameter that was posted; R4's own have none.
    """

    code: str
    type: str
    base: str
    url: str
    expression: str | None
    target_types: tuple[str, ...]
    components: tuple[Component, ...]
    comparators: tuple[str, ...]
    modifiers: tuple[str, ...]
    multiple_or: bool | None
    multiple_and: bool | None
    description: str
    source: str | None = None


def read_search_parameters(content: Iterable[dict[str, Any]], base: str) -> dict[str, SearchParameter]:
    """The search parameters in a member of the data file, by code, as parameters of `base`."""
    return {
        item["code"]: SearchParameter(
            code=item["code"],
            type=item["type"],
            base=base,
            url=item["url"],
            expression=item.get("expression"),
            target_types=tuple(item.get("target", ())),
            components=tuple(Component(*part) for part in item.get("component", ())),
            comparators=tuple(item.get("comparator", ())),
            modifiers=tuple(item.get("modifier", ())),
            multiple_or=item.get("multipleOr"),
            multiple_and=item.get("multipleAnd"),
            description=item["description"],
        )
        for item in content
    }
