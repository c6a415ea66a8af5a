"""What other capabilities ask of terminology: search (`:in`, `:not-in`, `:above`, `:below`), validation, operations.

`Terminology` knows CodeSystem, ValueSet and ConceptMap resources that are stored here, code systems that were loaded
into tables, what R4 comes with, code systems that are a grammar (UCUM, BCP 47 …) and, if there is one, a remote
server: the first of these that knows a URL decides. A change to a stored resource is seen at once by the process that
wrote it, and by all others within two seconds.

Where nothing may wait, as in the validation of resources, `fhirserver.fhir.terminology.BuiltIn.contains` tells at once
whether a value set of R4 itself contains a code, or that this can't be told there (None): then ask `check` later.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal, Protocol

from fhirserver.fhir.outcomes import FhirError
from fhirserver.fhir.terminology.concepts import Concept, Json
from fhirserver.fhir.terminology.expansion import ExpansionRequest
from fhirserver.fhir.terminology.maps import Match, TranslationRequest

Subsumption = Literal["equivalent", "subsumes", "subsumed-by", "not-subsumed"]
"""https://hl7.org/fhir/R4/codesystem-concept-subsumption-outcome.html"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeQuestion:
    """Is this code in this value set (canonical URL or ValueSet)? Without one: does the code system have it?

    Without a `system` any code system of the value set will do, as for elements of type code. A `display` is checked
    too. `version` is that of the code system; `code_system` is its definition, where the question brings it along.
    With `selectable`, abstract codes are no answer.
    """

    code: str
    system: str | None = None
    value_set: str | Json | None = None
    version: str | None = None
    display: str | None = None
    language: str | None = None
    selectable: bool = False
    code_system: Json | None = None


@dataclass(frozen=True, slots=True)
class CodeAnswer:
    """`result` is None if it can't be told, because a value set or code system is not known; `message` says why.

    `display` is the right one, where it is known. A display that is wrong makes the result False. `problem` is there
    if it is the value set, or the code system that the question is about, that is not known or can't be evaluated.
    """

    result: bool | None
    message: str | None = None
    display: str | None = None
    problem: FhirError | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A concept in its code system: `header` is the CodeSystem without its concepts."""

    header: Json
    concept: Concept
    children: Sequence[str]


class Terminology(Protocol):
    """Questions about codes.

    What is not known is `NotFound` where the question is about it, and `Unprocessable` where something else depends
    on it. Raises `Unavailable` while the database or the remote server, if it is needed, can't be reached.
    """

    async def check(self, questions: Sequence[CodeQuestion]) -> list[CodeAnswer]:
        """The answers, in order. Many questions cost hardly more than one. What is not known is no error."""
        ...

    async def codes(self, value_set: str, limit: int = 10_000) -> Mapping[str, AbstractSet[str]]:
        """All codes of a value set, inactive ones too, by code system.

        Raises `NotFound`, `Unprocessable`: with code `too-costly` if there are more than `limit` codes.
        """
        ...

    async def below(self, system: str, code: str, limit: int = 10_000) -> AbstractSet[str]:
        """A code and all that it subsumes. Raises `NotFound`, `Unprocessable` if there are more than `limit`."""
        ...

    async def above(self, system: str, code: str) -> AbstractSet[str]:
        """A code and all that subsume it. Raises `NotFound`."""
        ...

    async def subsumes(self, system: str, code_a: str, code_b: str, version: str | None = None) -> Subsumption:
        """How A relates to B. Raises `NotFound` if one of them, or the system, is not known."""
        ...

    async def expand(self, request: ExpansionRequest) -> Json:
        """A ValueSet with its expansion.

        Raises `NotFound`, `Unprocessable`: with code `too-costly` if there are too many codes to list.
        """
        ...

    async def lookup(self, system: str, code: str, version: str | None = None) -> Found:
        """A concept. Raises `NotFound`."""
        ...

    async def translate(self, request: TranslationRequest) -> list[Match]:
        """All translations. Raises `NotFound` for a map that is not known."""
        ...

    async def close(self) -> None:
        """Close what is open to a remote server."""
        ...

    async def code_systems(self) -> list[tuple[str, str | None]]:
        """URL and version of every code system that is known here, some thousands at most."""
        ...
