"""SQL text and its arguments, put together piece by piece."""

from collections.abc import Iterable
from typing import Any

from fhirserver.fhir.outcomes import InvalidRequest

_MOST = 32_767  # of the protocol, a signed 16-bit number


class Arguments:
    """The arguments of a statement, after those that it `begins` with. `add` gives the placeholder of a value."""

    def __init__(self, begins: Iterable[Any] = ()) -> None:
        self.values: list[Any] = [*begins]

    def add(self, value: Any, type_name: str) -> str:
        """The placeholder, cast to a type of PostgreSQL: `$3::bigint[]`. InvalidRequest if there are too many."""
        if len(self.values) == _MOST:
            raise InvalidRequest("the search has too many conditions", code="too-costly")
        self.values.append(value)
        return f"${len(self.values)}::{type_name}"
