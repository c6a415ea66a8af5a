"""Issues and errors: what the server says when something is wrong (R4 `OperationOutcome`).

The error tree::

    FhirError
      MalformedBody        the bytes are not the JSON that FHIR allows
      InvalidRequest       a header, parameter or path does not make sense
      InvalidResource      the resource breaks a rule of R4
      Unprocessable        understood, but it can't be done: it depends on what is not known, or on too much
      NotAuthenticated     no credentials, or none that are valid
      Forbidden            the caller is known, and may not do this
      TooManyRequests      the caller asks too often
      UnsupportedType      the resource type does not exist in R4
      NotFound             no such resource
      Gone                 the resource was deleted
      UnsupportedOperation method or interaction that does not exist here
      NotAcceptable        no representation the client accepts
      UnsupportedMediaType a body format that is not understood
      TooLarge             more than a limit allows
      Conflict             the write collides with the state of the server
      PreconditionFailed   If-Match, If-None-Match
      MultipleMatches      a conditional interaction that is not selective enough
      Unavailable          the database is away or too busy: try again
        RolledBack         a collision with another writer, which undid this one: the same may succeed at once
          Interrupted      the database was away before the commit: nothing was done
      TooCostly            stopped by a limit of time
      InternalError        a defect of this server
      DefinitionsCorrupt   the packaged R4 definitions cannot be used (start-up only)
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

Severity = Literal["fatal", "error", "warning", "information"]

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_POSITION = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-"


@dataclass(frozen=True, slots=True)
class Issue:
    """One `OperationOutcome.issue`: severity, code of the value set issue-type, text, and FHIRPath places.

    `position` is the line and the column of the place in the text that the resource came in, both from 1.
    """

    severity: Severity
    code: str
    diagnostics: str
    expression: tuple[str, ...] = ()
    position: tuple[int, int] | None = None

    @property
    def is_error(self) -> bool:
        """Whether what it is about can't be accepted."""
        return self.severity in ("error", "fatal")

    def as_json(self) -> dict[str, Any]:
        """The issue as an element of `OperationOutcome.issue`. What it quotes may have characters that R4 has not."""
        text = _CONTROL.sub("\ufffd", self.diagnostics)
        element: dict[str, Any] = {}
        if self.position is not None:
            element["extension"] = [
                {"url": _POSITION + name, "valueInteger": number}
                for name, number in zip(("line", "col"), self.position, strict=True)
            ]
        # Some clients show the one, some the other.
        element |= {"severity": self.severity, "code": self.code, "details": {"text": text}, "diagnostics": text}
        if self.expression:
            element["expression"] = [_CONTROL.sub("\ufffd", place) for place in self.expression]
        return element


def operation_outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """An OperationOutcome resource of these issues; one informational issue if there are none."""
    listed = [issue.as_json() for issue in issues]
    if not listed:
        listed = [Issue("information", "informational", "All OK").as_json()]
    return {"resourceType": "OperationOutcome", "issue": listed}


class FhirError(Exception):
    """An error that a client is told about, as one or more issues.

    `code` is the usual issue type, `status` the HTTP status that R4 gives this kind of error; both stand here once,
    as the answers of the web and the `response.status` of Bundle entries are the same.
    """

    status: ClassVar[int] = 400
    code: ClassVar[str] = "processing"

    def __init__(self, problem: str | Sequence[Issue], *, expression: str | None = None, code: str | None = None):
        if isinstance(problem, str):
            places = (expression,) if expression else ()
            self.issues: tuple[Issue, ...] = (Issue("error", code or self.code, problem, places),)
        else:
            self.issues = tuple(problem)
        super().__init__("; ".join(issue.diagnostics for issue in self.issues))


class MalformedBody(FhirError):
    status = 400
    code = "structure"


class InvalidRequest(FhirError):
    status = 400
    code = "invalid"


class InvalidResource(FhirError):
    status = 422
    code = "invalid"


class Unprocessable(FhirError):
    status = 422
    code = "processing"


class NotAuthenticated(FhirError):
    status = 401
    code = "login"


class Forbidden(FhirError):
    status = 403
    code = "forbidden"


class TooManyRequests(FhirError):
    """`retry_after`: seconds after which it is worth trying again."""

    status = 429
    code = "throttled"

    def __init__(self, problem: str, retry_after: int):
        super().__init__(problem)
        self.retry_after = retry_after


class UnsupportedType(FhirError):
    status = 404
    code = "not-supported"


class NotFound(FhirError):
    status = 404
    code = "not-found"


class Gone(FhirError):
    status = 410
    code = "deleted"


class UnsupportedOperation(FhirError):
    status = 405
    code = "not-supported"


class NotAcceptable(FhirError):
    status = 406
    code = "not-supported"


class UnsupportedMediaType(FhirError):
    status = 415
    code = "not-supported"


class TooLarge(FhirError):
    status = 413
    code = "too-long"


class Conflict(FhirError):
    status = 409
    code = "conflict"


class PreconditionFailed(FhirError):
    status = 412
    code = "conflict"


class MultipleMatches(FhirError):
    status = 412
    code = "multiple-matches"


class Unavailable(FhirError):
    status = 503
    code = "transient"


class RolledBack(Unavailable):
    pass


class Interrupted(RolledBack):
    pass


class TooCostly(FhirError):
    status = 503
    code = "too-costly"


class InternalError(FhirError):
    status = 500
    code = "exception"


class DefinitionsCorrupt(FhirError):
    status = 500
    code = "exception"
