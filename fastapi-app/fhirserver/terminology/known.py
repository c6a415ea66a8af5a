"""Terminology as it is known here and, where a value set or code system is not, to a remote server.

It is the `Terminology` of `interactions/terminology.py`, where its methods are described.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from fhirserver.fhir.outcomes import NotFound, Unavailable, Unprocessable
from fhirserver.fhir.terminology.concepts import Concept, Json
from fhirserver.fhir.terminology.expansion import ExpansionRequest
from fhirserver.fhir.terminology.maps import Match, TranslationRequest
from fhirserver.fhir.terminology.selection import Everything, IsA, Property
from fhirserver.interactions.terminology import CodeAnswer, CodeQuestion, Found, Subsumption
from fhirserver.terminology import checking, expanding, translating
from fhirserver.terminology.remote import Remote
from fhirserver.terminology.sources import KnownSystem, NotKnown, Sources
from fhirserver.terminology.store import LoadedSystem, Wanted

T = TypeVar("T")
_MOST_CHILDREN = 1_000
_AT_ONCE = 8


class KnownTerminology:
    """`clock` gives the present instant; `remote` is asked about value sets and code systems that aren't known here."""

    def __init__(self, sources: Sources, clock: Callable[[], datetime], remote: Remote | None = None):
        self.sources = sources
        self._clock = clock
        self._remote = remote

    async def check(self, questions: Sequence[CodeQuestion]) -> list[CodeAnswer]:
        answers = await checking.check(self.sources, questions)
        if self._remote is not None:
            unknown = [place for place, answer in enumerate(answers) if answer.result is None]
            for start in range(0, len(unknown), _AT_ONCE):
                places = unknown[start : start + _AT_ONCE]
                asked = await asyncio.gather(*(self._ask(self._remote, questions[place]) for place in places))
                for place, answer in zip(places, asked, strict=True):
                    answers[place] = answer or answers[place]
        return answers

    async def _ask(self, remote: Remote, question: CodeQuestion) -> CodeAnswer | None:
        """What the remote server says; None if it doesn't know either."""
        value_set = question.value_set
        if isinstance(value_set, str):
            value_set = await self.sources.value_set(value_set) or value_set
        try:
            return await remote.check(replace(question, value_set=value_set))
        except (NotFound, Unprocessable):
            return None
        except Unavailable as error:
            return CodeAnswer(None, str(error))

    async def codes(self, value_set: str, limit: int = 10_000) -> Mapping[str, AbstractSet[str]]:
        request = ExpansionRequest(value_set=value_set, count=limit + 1)
        found = await self._here_or(self._codes(request, limit), lambda remote: self._remote_codes(remote, request))
        return _bounded(found, value_set, limit)

    async def _codes(self, request: ExpansionRequest, limit: int) -> dict[str, set[str]]:
        contents = await self.sources.contents(request.value_set)
        found: dict[str, set[str]] = {}
        for segment in await expanding.segments(self.sources, contents, request):
            concepts = segment.concepts or []
            if isinstance(segment.system, LoadedSystem) and segment.concepts is None:
                wanted = Wanted(segment.system, segment.selection, active_only=not contents.inactive)
                concepts = await self.sources.store.select(wanted, 0, limit + 1)
            found.setdefault(segment.key[0], set()).update(concept.code for concept in concepts)
        return found

    async def _remote_codes(self, remote: Remote, request: ExpansionRequest) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        expanded = await remote.expand(await self._with_definition(request))
        for item in expanding.contained(expanded):
            found.setdefault(str(item.get("system")), set()).add(str(item.get("code")))
        return found

    async def below(self, system: str, code: str, limit: int = 10_000) -> AbstractSet[str]:
        known = await self._system(system)
        concept = await self._concept(known, code)
        if isinstance(known, LoadedSystem):
            selected = await self.sources.store.select(Wanted(known, IsA(concept.code)), 0, limit + 1)
            found: AbstractSet[str] = {item.code for item in selected}
        else:
            found = known.below(concept.code) | {concept.code}
        return _bounded({system: found}, f"what is below '{code[:100]}'", limit)[system]

    async def above(self, system: str, code: str) -> AbstractSet[str]:
        known = await self._system(system)
        concept = await self._concept(known, code)
        if isinstance(known, LoadedSystem):
            return set(await self.sources.store.above(known, concept.code))
        return known.above(concept.code) | {concept.code}

    async def subsumes(self, system: str, code_a: str, code_b: str, version: str | None = None) -> Subsumption:
        return await self._here_or(
            self._subsumes(system, code_a, code_b, version),
            lambda remote: remote.subsumes(system, code_a, code_b, version),
        )

    async def _subsumes(self, system: str, code_a: str, code_b: str, version: str | None) -> Subsumption:
        known = await self._system(system, version)
        a = (await self._concept(known, code_a)).code
        b = (await self._concept(known, code_b)).code
        if a == b:
            return "equivalent"
        if isinstance(known, LoadedSystem):
            is_below = await self.sources.store.subsumed(known, [(a, b), (b, a)])
            a_is_below, b_is_below = is_below.get((a, b), False), is_below.get((b, a), False)
        else:
            a_is_below, b_is_below = a in known.below(b), b in known.below(a)
        return "subsumes" if b_is_below else "subsumed-by" if a_is_below else "not-subsumed"

    async def expand(self, request: ExpansionRequest) -> Json:
        return await self._here_or(self._expand(request), lambda remote: self._remote_expansion(remote, request))

    async def _expand(self, request: ExpansionRequest) -> Json:
        value_set = request.value_set
        if isinstance(value_set, str):
            value_set = await self._value_set(value_set)
        return await expanding.expand(self.sources, request, value_set, self._clock())

    async def _remote_expansion(self, remote: Remote, request: ExpansionRequest) -> Json:
        return await remote.expand(await self._with_definition(request))

    async def lookup(self, system: str, code: str, version: str | None = None) -> Found:
        return await self._here_or(
            self._lookup(system, code, version), lambda remote: remote.lookup(system, code, version)
        )

    async def _lookup(self, system: str, code: str, version: str | None) -> Found:
        known = await self._system(system, version)
        concept = await self._concept(known, code)
        if isinstance(known, LoadedSystem):
            below = Wanted(known, Property("parent", frozenset((concept.code,))))
            children = [item.code for item in await self.sources.store.select(below, 0, _MOST_CHILDREN)]
            return Found(known.header, concept, children)
        return Found(known.header, concept, known.children(concept.code))

    async def translate(self, request: TranslationRequest) -> list[Match]:
        return await self._here_or(
            translating.translate(self.sources, request), lambda remote: remote.translate(request)
        )

    async def close(self) -> None:
        if self._remote is not None:
            await self._remote.close()

    async def code_systems(self) -> list[tuple[str, str | None]]:
        return await self.sources.all_code_systems()

    async def _here_or(self, here: Awaitable[T], there: Callable[[Remote], Awaitable[T]]) -> T:
        """What is found here; if something isn't known here, what the remote server says."""
        try:
            return await here
        except (NotKnown, Unprocessable) as error:
            if self._remote is None or error.issues[0].code != "not-found":
                raise
            return await there(self._remote)

    async def _with_definition(self, request: ExpansionRequest) -> ExpansionRequest:
        """The request with the value set itself, if it is known here."""
        if isinstance(request.value_set, str):
            known = await self.sources.value_set(request.value_set)
            return replace(request, value_set=known) if known is not None else request
        return request

    async def _value_set(self, url: str) -> Json:
        found = await self.sources.value_set(url)
        if found is None:
            raise NotKnown(f"the value set '{url[:200]}' is not known")
        return found

    async def _system(self, url: str, version: str | None = None) -> KnownSystem:
        found = (await self.sources.code_systems([(url, version)])).get((url, version))
        if found is None:
            which = f" of version '{version[:100]}'" if version else ""
            raise NotKnown(f"the code system '{url[:200]}'{which} is not known")
        return found

    async def _concept(self, system: KnownSystem, code: str) -> Concept:
        if isinstance(system, LoadedSystem):
            concept = (await self.sources.store.decide(system, Everything(), [code])).get(code, (None, False))[0]
        else:
            concept = system.concept(code)
        if concept is None:
            raise NotFound(f"the code system '{system.url}' has no code '{code[:200]}'")
        return concept


def _bounded(found: Mapping[str, AbstractSet[str]], what: str, limit: int) -> Mapping[str, AbstractSet[str]]:
    if sum(map(len, found.values())) > limit:
        raise Unprocessable(f"{what[:200]}: there are more than {limit} codes", code="too-costly")
    return found
