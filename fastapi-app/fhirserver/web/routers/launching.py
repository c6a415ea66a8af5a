"""`/auth/launch`: an EHR tells what it has open before it starts an app. `/auth/apps`: what users have given apps."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.access.errors import invalid_request, not_found
from fhirserver.access.oauth.launches import LIFETIME
from fhirserver.access.store import SignIn
from fhirserver.fhir.datatypes.references import parse_reference
from fhirserver.fhir.outcomes import FhirError, Unavailable
from fhirserver.fhir.resource_json import parse
from fhirserver.interactions.read import read
from fhirserver.web.dependencies import AUTH_PATH, access_of, call_of, identified_of, web_of
from fhirserver.web.responses import RawResponse
from fhirserver.web.routers.auth import Body, answer, body_of
from fhirserver.web.routing import route

_MOST_REFERENCES = 20


class Context(Body):
    reference: str
    role: str | None = None


class NewLaunch(Body):
    client_id: str
    patient: str | None = None
    encounter: str | None = None
    user: str | None = None
    intent: str | None = None
    need_patient_banner: bool = True
    fhirContext: list[Context] = []


def routes() -> list[Route]:
    """The routes of this file."""
    return [
        route(f"{AUTH_PATH}/launch", POST=("launch", launch)),
        route(f"{AUTH_PATH}/apps", GET=("apps", list_apps)),
        route(f"{AUTH_PATH}/apps/{{client_id}}", DELETE=("withdraw", withdraw)),
    ]


async def launch(request: Request) -> Response:
    """A `launch` for an app, about what the caller may see. Of a user who signed in, it is for that user alone."""
    given = await body_of(request, NewLaunch)
    identified = identified_of(request)
    if len(given.fhirContext) > _MOST_REFERENCES or len(given.intent or "") > 100:
        raise invalid_request(f"fhirContext has up to {_MOST_REFERENCES} references, intent up to 100 characters")
    if given.patient is not None:
        await _seen(request, "Patient", given.patient)
    if given.encounter is not None:
        encounter = await _seen(request, "Encounter", given.encounter)
        if encounter.get("subject", {}).get("reference") != f"Patient/{given.patient}":
            raise invalid_request("the encounter is not one of the patient")
    for context in given.fhirContext:
        target = parse_reference(context.reference)
        if target is None or target.kind != "local" or not target.resource_type or not target.id or target.version:
            raise invalid_request("a reference of fhirContext is of the form Type/id")
        await _seen(request, target.resource_type, target.id)
    told = given.model_dump(exclude={"client_id", "user"}, exclude_none=True, exclude_defaults=True)
    told["need_patient_banner"] = given.need_patient_banner
    is_own = identified.caller.credential.startswith(("session:", "app:")) and identified.user is not None
    own_id = identified.caller.id if is_own else None
    made = await access_of(request).oauth.launches.add(given.client_id, given.user, own_id, told)
    return answer({"launch": made, "expires_in": int(LIFETIME.total_seconds())}, 201)


async def _seen(request: Request, resource_type: str, id: str) -> Any:
    """The resource, if the caller may see it. `invalid_request`."""
    try:
        stored = await read(web_of(request).server, call_of(request), resource_type, id)
    except Unavailable:
        raise
    except FhirError as error:
        raise invalid_request(f"{resource_type}/{id[:64]} is not known, or not to be seen") from error
    return parse(stored.live)


async def list_apps(request: Request) -> Response:
    """The apps that have something of the caller, and what."""
    found: dict[str, dict[str, Any]] = {}
    for name, sign_in in await access_of(request).oauth.issued.apps(identified_of(request)):
        app = found.setdefault(str(sign_in.client_id), {"client_id": sign_in.client_id, "name": name, "given": []})
        app["given"].append(_described(sign_in))
    return answer({"apps": list(found.values())})


async def withdraw(request: Request) -> Response:
    """Take back what an app was given."""
    id = request.path_params["client_id"]
    if not id.isascii() or not id.isprintable():
        raise not_found("this app has nothing of you")
    await access_of(request).oauth.issued.withdraw(identified_of(request), id)
    return RawResponse(204, b"", [])


def _described(sign_in: SignIn) -> dict[str, Any]:
    return {
        "scope": sign_in.scope,
        "patient": (sign_in.context or {}).get("patient"),
        "since": sign_in.created.isoformat(),
        "until": sign_in.expires.isoformat(),
    }
