"""`/fhir/_jobs`: how far jobs are, and ending them.

https://hl7.org/fhir/R4/async.html
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.fhir.resource_json import pretty
from fhirserver.operations.jobs import cancel_job, find_job, is_finished, progress_line, recent_jobs, told
from fhirserver.operations.reindex import require_all
from fhirserver.web.dependencies import BASE_PATH, call_of, web_of
from fhirserver.web.parameters import parameters_of
from fhirserver.web.responses import RawResponse, bundle_response, json_response
from fhirserver.web.routing import route


def routes() -> list[Route]:
    """The routes of this file."""
    address = BASE_PATH + "/_jobs"
    return [
        route(address, GET=("jobs", get_jobs)),
        route(address + "/{id}", GET=("job", get_job), DELETE=("cancel-job", cancel)),
    ]


async def get_jobs(request: Request) -> Response:
    """The last jobs."""
    params = parameters_of(request.scope)
    server = web_of(request).server
    require_all(server, call_of(request), ())
    return bundle_response(await recent_jobs(server), params.media_type, params.pretty)


async def get_job(request: Request) -> Response:
    """A job: 202 as long as there is more to come, with X-Progress; then 200."""
    params = parameters_of(request.scope)
    server = web_of(request).server
    require_all(server, call_of(request), ())
    job = await find_job(server, request.path_params["id"])
    body = pretty(told(job)) if params.pretty else told(job)
    if is_finished(job):
        return json_response(200, body, None, params.media_type)
    return json_response(202, body, [(b"x-progress", progress_line(job).encode())], params.media_type)


async def cancel(request: Request) -> Response:
    """End a job: 202."""
    server = web_of(request).server
    require_all(server, call_of(request), ())
    await cancel_job(server, request.path_params["id"])
    return RawResponse(202, b"", [(b"content-length", b"0")])
