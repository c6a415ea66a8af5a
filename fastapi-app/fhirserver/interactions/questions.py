"""What terminology says about the codes that the validation of a resource could not tell of.

https://hl7.org/fhir/R4/terminologies.html#strength
"""

from collections.abc import Sequence

from fhirserver.fhir.outcomes import Issue, Severity
from fhirserver.fhir.validation.bindings import SEVERITIES
from fhirserver.fhir.validation.report import Question, written
from fhirserver.interactions.terminology import CodeAnswer, CodeQuestion, Terminology


async def answered(terminology: Terminology, questions: Sequence[Question]) -> list[Issue | None]:
    """The issue that each question comes to, if any. All of them are asked at once."""
    if not questions:
        return []
    asked = [
        CodeQuestion(
            code=code,
            system=system,
            value_set=question.binding.value_set if question.binding else None,
            display=question.display,
        )
        for question in questions
        for system, code in question.codes
    ]
    answers = iter(await terminology.check(asked))
    issues = []
    for question in questions:
        told = [next(answers) for _ in question.codes]
        issues.append(_of_binding(question, told) if question.binding is not None else _of_system(question, told[0]))
    return issues


def _of_binding(question: Question, answers: list[CodeAnswer]) -> Issue | None:
    place, binding = written(question.place), question.binding
    if binding is None or any(answer.result for answer in answers):
        return None
    codes = ", ".join(f"{system or ''}|{code}" for system, code in question.codes)[:200]
    if all(answer.result is False for answer in answers):
        problem = f"None of the codes ({codes}) is in {binding.value_set} ({binding.strength})"
        return Issue(SEVERITIES[binding.strength], "code-invalid", problem, (place,))
    severity: Severity = "warning" if binding.strength == "required" else "information"
    return Issue(severity, "not-found", f"Whether {codes} is in {binding.value_set} can't be told", (place,))


def _of_system(question: Question, answer: CodeAnswer) -> Issue | None:
    ((system, code),) = question.codes
    place = written(question.place)
    if answer.result is None:
        return Issue("information", "not-found", f"The code system {str(system)[:200]} is not known", (place,))
    if answer.result:
        return None
    # The code systems of R4 itself are complete and stay as they are; of others there may be newer versions.
    is_wrong = str(system).startswith("http://hl7.org/fhir/") and answer.display is None
    problem = answer.message or f"{code[:200]} is not a code of {str(system)[:200]}"
    return Issue("error" if is_wrong else "warning", "code-invalid", problem, (place,))
