"""What is asked of the FHIR API and of `/auth` is recorded before the answer leaves, whatever the answer is.

An answer whose event can't be kept is not given: 503. Not recorded are the CapabilityStatement, what tells callers of
themselves, and the refusals of who asks too often, which would fill the log.
"""

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fhirserver.audit.auditor import Auditor
from fhirserver.audit.kinds import KINDS, SIGNING
from fhirserver.audit.trail import RequestTrail
from fhirserver.fhir.outcomes import FhirError
from fhirserver.web.dependencies import AUTH_PATH, BASE_PATH
from fhirserver.web.errors import refusal
from fhirserver.web.scope import INTERACTION, TRAIL, request_id

_TOLD_OF_THEMSELVES = frozenset((f"{BASE_PATH}/metadata", f"{AUTH_PATH}/me"))
_LONGEST_QUERY = 8192


class AuditGate:
    """Leaves the trail of the request in the scope, and records it."""

    def __init__(self, app: ASGIApp, auditor: Auditor) -> None:
        self.app = app
        self.auditor = auditor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_audited(scope["path"]):
            await self.app(scope, receive, send)
            return
        trail = RequestTrail(self.auditor, (scope.get("client") or ("unknown", 0))[0], request_id(scope))
        scope[TRAIL] = trail
        is_replaced = False

        async def recording(message: Message) -> None:
            nonlocal is_replaced
            if message["type"] == "http.response.start":
                try:
                    await _record(scope, trail, message["status"])
                except FhirError as error:
                    if message["status"] < 500:
                        is_replaced = True
                        await refusal(scope, error)(scope, receive, send)
            if not is_replaced:
                await send(message)

        self.auditor.recorder.begin()
        try:
            await self.app(scope, receive, recording)
        except ClientDisconnect:
            raise
        except Exception:
            await _record_defect(scope, trail)
            raise
        finally:
            self.auditor.recorder.end()


async def _record_defect(scope: Scope, trail: RequestTrail) -> None:
    try:
        await _record(scope, trail, 500)
    except FhirError:
        return  # the defect itself is what is told


async def _record(scope: Scope, trail: RequestTrail, status: int) -> None:
    kind = _kind(scope)
    if (status == 429 and INTERACTION not in scope) or (kind in SIGNING and scope["method"] in ("GET", "HEAD")):
        return
    path: str = scope["path"]
    if path.startswith(AUTH_PATH):
        if "/" in path.removeprefix(AUTH_PATH + "/"):
            trail.about(path.removeprefix(AUTH_PATH + "/")[:200])
        await trail.finish(kind, status, None, None, None)
        return
    resource_type, id = (*_segments(path), None, None)[:2]
    await trail.finish(kind, status, resource_type, id, _query(scope, kind))


def _is_audited(path: str) -> bool:
    return path.startswith((BASE_PATH, AUTH_PATH + "/")) and path not in _TOLD_OF_THEMSELVES


def _query(scope: Scope, kind: str) -> str | None:
    """What is asked, as the text of a URL below the base."""
    query = scope["query_string"].decode("utf-8", "replace")
    if not KINDS[kind].queries and not (query and kind.startswith("conditional-")):
        return None
    path: str = scope["path"].removeprefix(BASE_PATH).strip("/")
    return (f"{path}?{query}" if query else path)[:_LONGEST_QUERY] or "/"


def _kind(scope: Scope) -> str:
    """The name of the interaction; of a request that came to none, the one that its address stands for."""
    name = scope.get(INTERACTION)
    if name is None and scope["path"].startswith(BASE_PATH):
        name = _kind_of_address(scope["method"], scope["path"])
    elif name is None:
        name = scope["path"].rpartition("/")[2]
    return name if name in KINDS else "unknown"


def _segments(path: str) -> list[str]:
    """The parts of the path below the base that are types and ids."""
    parts = path.removeprefix(BASE_PATH).strip("/").split("/")
    return [part for part in parts if part and not part.startswith(("_", "$"))]


def _kind_of_address(method: str, path: str) -> str:
    parts = [part for part in path.removeprefix(BASE_PATH).split("/") if part]
    last = parts[-1] if parts else ""
    if last.startswith("$"):
        return "operation"
    if last == "_history":
        return ("history-system", "history-type", "history-instance")[min(len(parts) - 1, 2)]
    if last == "_search" or (method in ("GET", "HEAD") and len(parts) in (0, 1, 3)):
        return "search-type" if len(parts) > (last == "_search") else "search-system"
    if not parts:
        return "bundle" if method == "POST" else "unknown"
    if len(parts) == 4 and parts[2] == "_history":
        return "vread"
    if len(parts) == 1:
        named = {"POST": "create", "PUT": "conditional-update", "DELETE": "conditional-delete"}
        return named.get(method, "unknown")
    named = {"GET": "read", "HEAD": "read", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
    return named.get(method, "unknown") if len(parts) == 2 else "unknown"
