"""What other capabilities ask of terminology: search (`:in`, `:not-in`, `:above`, `:below`), validation, FHIRPath.

`Terminology` knows CodeSystem and ValueSet resources that are stored here, code systems that were loaded into tables,
what R4 comes with, code systems that are a grammar (UCUM, BCP 47 …) and, if there is one, a remote server: the first
of these that knows a URL decides. A change to a stored resource is seen by all processes within two seconds.

Where nothing may wait, as in the validation of resources, `fhirserver.fhir.terminology.BuiltIn.contains` tells at once
whether a value set of R4 itself contains a code, or that this can't be told there (None): then ask `check` later.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal, Protocol

Subsumption = Literal["equivalent", "subsumes", "subsumed-by", "not-subsumed"]
"""https://hl7.org/fhir/R4/codesystem-concept-subsumption-outcome.html"""


@dataclass(frozen=True, slots=True)
class CodeQuestion:
    """Is this code in this value set (canonical URL)? Without a value set: does the code system have it?

    Without a `system` any code system of the value set will do, as for elements of type code. A `display` is checked
    too. `version` is that of the code system.
    """

    code: str
    system: str | None = None
    value_set: str | None = None
    version: str | None = None
    display: str | None = None


@dataclass(frozen=True, slots=True)
class CodeAnswer:
    """`result` is None if it can't be told, because a value set or code system is not known; `message` says why.

    `display` is the right one, where it is known. A display that is wrong makes the result False.
    """

    result: bool | None
    message: str | None = None
    display: str | None = None


class Terminology(Protocol):
    """Questions about codes. All of them raise `Unavailable` while the database can't be reached."""

    async def check(self, questions: Sequence[CodeQuestion]) -> list[CodeAnswer]:
        """The answers, in order. Many questions cost hardly more than one."""
        ...

    async def codes(self, value_set: str, limit: int = 10_000) -> Mapping[str, AbstractSet[str]]:
        """All codes of a value set, inactive ones too, by code system.

        Raises `NotFound` if the value set is not known, `Unprocessable` if it depends on what is not known, and with
        code `too-costly` if there are more than `limit` codes.
        """
        ...

    async def below(self, system: str, code: str, limit: int = 10_000) -> AbstractSet[str]:
        """A code and all that it subsumes. Raises `NotFound` if system or code is not known, `Unprocessable`."""
        ...

    async def above(self, system: str, code: str) -> AbstractSet[str]:
        """A code and all that subsume it. Raises `NotFound` if system or code is not known."""
        ...

    async def subsumes(self, system: str, code_a: str, code_b: str) -> Subsumption | None:
        """How A relates to B; None if one of them, or the system, is not known."""
        ...
