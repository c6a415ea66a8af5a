"""Is a code in a value set, or in a code system? Many questions at once, with few statements.

https://hl7.org/fhir/R4/valueset-operation-validate-code.html and codesystem-operation-validate-code.html
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from fhirserver.fhir.datatypes.text import normalised
from fhirserver.fhir.outcomes import FhirError, NotFound, Unprocessable
from fhirserver.fhir.terminology.code_system import CodeSystem
from fhirserver.fhir.terminology.compose import Contents, SystemKey
from fhirserver.fhir.terminology.concepts import Concept
from fhirserver.fhir.terminology.selection import Everything, Selection, holds, holds_for, presentations
from fhirserver.interactions.terminology import CodeAnswer, CodeQuestion
from fhirserver.terminology.sources import KnownSystem, Sources
from fhirserver.terminology.store import LoadedSystem

_WHOLE = Everything()


@dataclass(slots=True)
class _Candidate:
    """A part of a value set, or a whole code system, in which the code may be. `concept` is None if it isn't known."""

    key: SystemKey
    selection: Selection
    system: KnownSystem | None = None
    concept: Concept | None = None
    selected: bool | None = None


@dataclass(slots=True)
class _Case:
    question: CodeQuestion
    candidates: list[_Candidate] = field(default_factory=list)
    contents: Contents | None = None
    problem: FhirError | None = None


async def check(sources: Sources, questions: Sequence[CodeQuestion]) -> list[CodeAnswer]:
    """The answers, in order; `result` is None where something is not known here."""
    await sources.ask_for([question.value_set for question in questions if isinstance(question.value_set, str)])
    cases = [await _case(sources, question) for question in questions]
    candidates = [candidate for case in cases for candidate in case.candidates]
    systems = await sources.code_systems(candidate.key for candidate in candidates if candidate.system is None)
    for candidate in candidates:
        candidate.system = candidate.system or systems.get(candidate.key)
    loaded: dict[tuple[int, int], tuple[LoadedSystem, Selection, list[tuple[_Candidate, str]]]] = {}
    for case in cases:
        for candidate in case.candidates:
            code, system = case.question.code, candidate.system
            if isinstance(system, LoadedSystem):
                together = loaded.setdefault((system.key, id(candidate.selection)), (system, candidate.selection, []))
                together[2].append((candidate, code))
            else:
                _decide(candidate, code)
    for system, selection, asked in loaded.values():
        found = await sources.store.decide(system, selection, list({code for _, code in asked}))
        for candidate, code in asked:
            candidate.concept, candidate.selected = found.get(code, (None, False))
    return [_answer(case) for case in cases]


async def _case(sources: Sources, question: CodeQuestion) -> _Case:
    case = _Case(question)
    if question.value_set is None:
        key = question.system or "", question.version
        own = CodeSystem(question.code_system) if question.code_system is not None else None
        case.candidates = [_Candidate(key, _WHOLE, own)]
        return case
    try:
        case.contents = await sources.contents(question.value_set)
    except (NotFound, Unprocessable) as error:
        case.problem = error
        return case
    parts = case.contents.parts if question.system is None else case.contents.of(question.system)
    for (url, version), selection in parts.items():
        if question.version is None or version in (None, question.version):
            case.candidates.append(_Candidate((url, version or question.version), selection))
    return case


def _decide(candidate: _Candidate, code: str) -> None:
    system = candidate.system
    if system is None or isinstance(system, LoadedSystem):
        candidate.selected = holds_for(candidate.selection, code)
        return
    candidate.concept = system.concept(code)
    if candidate.concept is not None:
        candidate.selected = holds(candidate.selection, candidate.concept, system)
    else:
        candidate.selected = False if system.is_complete else holds_for(candidate.selection, code)


def _answer(case: _Case) -> CodeAnswer:
    question = case.question
    if case.problem is not None:
        return CodeAnswer(None, str(case.problem), problem=case.problem)
    chosen = _first(case.candidates, True) or _first(case.candidates, None)
    if chosen is None:
        return CodeAnswer(False, _not_found(case), _display(case.candidates[0], question) if case.candidates else None)
    if chosen.selected is None:
        message = f"the code system '{chosen.key[0]}'{_version(chosen.key)} is not known"
        return CodeAnswer(None, message, problem=NotFound(message) if question.value_set is None else None)
    return _accepted(case, chosen)


def _accepted(case: _Case, chosen: _Candidate) -> CodeAnswer:
    """The code is there: whether it may be used, and whether its display is right."""
    question, concept = case.question, chosen.concept
    display = _display(chosen, question)
    name = _name(question, chosen.key[0])
    if concept is not None and concept.inactive and case.contents is not None and not case.contents.inactive:
        return CodeAnswer(False, f"{name} is inactive, and the value set is of active codes only", display)
    if concept is not None and concept.abstract and question.selectable:
        return CodeAnswer(False, f"{name} is abstract: it can't be selected itself", display)
    if question.display is not None and not _is_name(question.display, chosen, display):
        right = f"; it is '{display}'" if display is not None else ""
        return CodeAnswer(False, f"the display '{question.display[:200]}' is wrong for {name}{right}", display)
    hints = []
    if concept is not None and concept.code != question.code:
        hints.append(f"the code is written '{concept.code}' in its code system")
    if concept is not None and concept.inactive:
        hints.append(f"{name} is inactive")
    return CodeAnswer(True, "; ".join(hints) or None, display)


def _is_name(text: str, chosen: _Candidate, display: str | None) -> bool:
    """Whether a display is one of the names of the concept; any will do for one of which none is known."""
    known = [*(chosen.concept.names() if chosen.concept is not None else ()), *([display] if display else ())]
    return not known or normalised(text) in {normalised(name) for name in known}


def _display(candidate: _Candidate, question: CodeQuestion) -> str | None:
    shown = presentations(candidate.selection).get(question.code, {}).get("display")
    if candidate.concept is not None and (shown is None or question.language):
        return candidate.concept.display_in(question.language) or shown
    return shown


def _not_found(case: _Case) -> str:
    question = case.question
    name = _name(question, question.system)
    if question.value_set is None:
        return f"{name} does not exist"
    url = question.value_set if isinstance(question.value_set, str) else question.value_set.get("url", "")
    where = f"the value set '{url}'" if url else "the value set"
    if not case.candidates:
        return f"{where} has no codes of the code system '{question.system}'"
    exists = any(candidate.concept is not None for candidate in case.candidates)
    missing = "" if exists or question.system is None else "; its code system does not have it either"
    complete = all(candidate.system is not None and candidate.system.is_complete for candidate in case.candidates)
    return f"{name} is not in {where}{missing if complete else ''}"


def _first(candidates: Iterable[_Candidate], selected: bool | None) -> _Candidate | None:
    return next((candidate for candidate in candidates if candidate.selected is selected), None)


def _name(question: CodeQuestion, system: str | None) -> str:
    return f"the code '{question.code[:100]}'" + (f" of '{system[:200]}'" if system else "")


def _version(key: SystemKey) -> str:
    return f" of version {key[1]}" if key[1] else ""
