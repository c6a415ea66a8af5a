"""The answer to a request that failed: an OperationOutcome, whatever it was that refused it.

https://hl7.org/fhir/R4/http.html#Status-Codes
"""

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from fhirserver.access.errors import AccessError
from fhirserver.fhir.outcomes import (
    FhirError,
    Forbidden,
    Issue,
    NotAuthenticated,
    TooLarge,
    TooManyRequests,
    Unavailable,
    UnsupportedOperation,
    operation_outcome,
)
from fhirserver.fhir.resource_json import serialize
from fhirserver.fhir.validation.positions import located
from fhirserver.web.dependencies import AUTH_PATH
from fhirserver.web.responses import Header, json_response
from fhirserver.web.scope import JSON_BODY, Scope, header, request_id

RETRY_AFTER_SECONDS = 5
_OAUTH_CODES = {
    401: "invalid_token",
    403: "insufficient_scope",
    404: "not_found",
    429: "temporarily_unavailable",
    503: "temporarily_unavailable",
}
_FRAMEWORK_CODES = {404: "not-found", 405: "not-supported", 413: "too-long"}


class MethodNotAllowed(UnsupportedOperation):
    """The address exists, but not for this method. `allowed` are those that it has."""

    def __init__(self, method: str, path: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"{method[:20]} is not possible on {path[:200]}; {', '.join(allowed)} is")
        self.allowed = allowed


class AddressTooLong(TooLarge):
    """The URL is longer than the limit."""

    status = 414


class TooSlow(FhirError):
    """The request did not come in time."""

    status = 408
    code = "timeout"


def error_response(error: FhirError) -> Response:
    """The answer to a request that failed with this error, which is the client's to mend or to wait for."""
    return outcome_response(error.status, error.issues, _headers_of(error))


def refusal(scope: Scope, error: FhirError) -> Response:
    """The answer to a request that failed with this error, in the form that goes with its address."""
    if not scope["path"].startswith(AUTH_PATH):
        return error_response(error)
    answer = access_error_response(
        AccessError(error.status, _OAUTH_CODES.get(error.status, "invalid_request"), str(error))
    )
    answer.raw_headers += _headers_of(error)
    return answer


def access_error_response(error: AccessError) -> Response:
    """The answer of `/auth`: the error of OAuth 2."""
    body = serialize({"error": error.error, "error_description": str(error)})
    headers: list[Header] = [(b"retry-after", b"%d" % error.retry_after)] if error.retry_after else []
    return json_response(error.status, body, headers, "application/json")


async def on_access_error(request: Request, error: Exception) -> Response:
    """Exception handler for `AccessError`."""
    if not isinstance(error, AccessError):
        raise error
    answer = access_error_response(error)
    if error.error == "invalid_client" and header(request.scope, b"authorization") is not None:
        answer.raw_headers.append((b"www-authenticate", b'Basic realm="fhir"'))
    return answer


def _headers_of(error: FhirError) -> list[Header]:
    headers: list[Header] = []
    if isinstance(error, Unavailable):
        headers.append((b"retry-after", b"%d" % RETRY_AFTER_SECONDS))
    if isinstance(error, TooManyRequests):
        headers.append((b"retry-after", b"%d" % error.retry_after))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    if isinstance(error, NotAuthenticated):
        reason = f', error="invalid_token", error_description="{error}"' if error.__cause__ is not None else ""
        headers.append((b"www-authenticate", f'Bearer realm="fhir"{reason}'.encode("latin-1", "replace")))
    if isinstance(error, Forbidden):
        headers.append((b"www-authenticate", b'Bearer realm="fhir", error="insufficient_scope"'))
    return headers


def outcome_response(status: int, issues: tuple[Issue, ...], headers: list[Header]) -> Response:
    """An OperationOutcome of these issues."""
    return json_response(status, serialize(operation_outcome(issues)), headers)


def defect_response(scope: Scope) -> Response:
    """The answer to a request that met a defect of this server: the id under which it is logged, no more."""
    text = f"internal error; it is logged under request id {request_id(scope)}"
    return outcome_response(500, (Issue("error", "exception", text),), [])


async def on_fhir_error(request: Request, error: Exception) -> Response:
    """Exception handler for `FhirError`. A defect is raised again: the request log reports it."""
    if not isinstance(error, FhirError) or error.status == 500:
        raise error
    body = request.scope.get(JSON_BODY)
    if body is not None and any(issue.expression for issue in error.issues):
        error.issues = tuple(located(error.issues, body))
    return refusal(request.scope, error)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Exception handler for what the framework itself refuses: no such address, no such method."""
    if not isinstance(error, HTTPException):
        raise error
    code = _FRAMEWORK_CODES.get(error.status_code, "processing")
    text = f"there is nothing at {request.url.path[:200]}" if error.status_code == 404 else str(error.detail)
    headers = [(name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items()]
    return outcome_response(error.status_code, (Issue("error", code, text),), headers)


async def on_invalid_parameters(request: Request, error: Exception) -> Response:
    """Exception handler for requests whose parameters the framework could not take."""
    if not isinstance(error, RequestValidationError):
        raise error
    issues = tuple(
        Issue("error", "invalid", f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}")
        for problem in error.errors()
    )
    return outcome_response(422, issues, [])
