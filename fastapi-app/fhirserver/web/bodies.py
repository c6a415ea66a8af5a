"""Bodies of requests: read, checked for their kind, parsed.

https://hl7.org/fhir/R4/http.html#mime-type
"""

from typing import Any

from starlette.requests import Request

from fhirserver.fhir.outcomes import MalformedBody
from fhirserver.fhir.resource_json import parse
from fhirserver.web.dependencies import web_of
from fhirserver.web.negotiation import require_form_body, require_json_body
from fhirserver.web.scope import JSON_BODY, header


async def resource_body(request: Request) -> dict[str, Any]:
    """The resource in the body, of which `JSON_BODY` in the scope has the text from then on.

    Raises `UnsupportedMediaType`, `MalformedBody` with the position, and what reading raises: `TooLarge`.
    """
    require_json_body(header(request.scope, b"content-type"))
    data = await request.body()
    if not data:
        raise MalformedBody("the body is empty")
    resource = parse(data, max_depth=web_of(request).server.limits.max_nesting)
    request.scope[JSON_BODY] = data
    return resource


async def form_body(request: Request) -> bytes:
    """The form in the body; a body may be missing, then there need not be a Content-Type either."""
    data = await request.body()
    if data:
        require_form_body(header(request.scope, b"content-type"))
    return data
