"""What the text of `Reference.reference` points at.

https://hl7.org/fhir/R4/references.html#literal
"""

import re
from typing import Literal, NamedTuple

Kind = Literal["local", "absolute", "contained", "urn", "conditional"]

_RESTFUL = r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?"
_RELATIVE = re.compile(_RESTFUL).fullmatch
_ABSOLUTE = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*://[^\s?#]+)/" + _RESTFUL).fullmatch
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+").fullmatch
_CONDITIONAL = re.compile(r"([A-Z][A-Za-z]{1,63})\?(\S.*)", re.DOTALL).fullmatch


class Ref(NamedTuple):
    """The parts of a reference.

    - `local`: a resource of this server (`Patient/1`, or the same with the server's base URL before it)
    - `absolute`: any other URL; type, id and version are there if the URL has the RESTful form
    - `contained`: `#id`; `id` is None for `#` alone, the containing resource
    - `urn`: `urn:uuid:…`, `urn:oid:…` and so on
    - `conditional`: `Patient?identifier=…`, allowed in transactions; `query` is the part after `?`
    """

    kind: Kind
    resource_type: str | None = None
    id: str | None = None
    version: str | None = None
    url: str | None = None
    query: str | None = None


def parse_reference(text: str, base_url: str | None = None) -> Ref | None:
    """The parts of a literal reference; None if the text is none.

    `base_url` is the address of this server (such as `https://example.org/fhir`): references below it
    are local. `url` is set for absolute references and URNs, to the text itself.
    """
    match = _RELATIVE(text)
    if match is not None:
        return Ref("local", match[1], match[2], match[3])
    if text.startswith("urn:"):
        return Ref("urn", url=text) if len(text) > 4 and _URL(text) else None
    if text.startswith("#"):
        return Ref("contained", id=text[1:] or None)
    if base_url and text.startswith(base_url):
        local = _below_base(text[len(base_url.rstrip("/")) :])
        if local is not None:
            return local
    match = _ABSOLUTE(text)
    if match is not None:
        return Ref("absolute", match[2], match[3], match[4], url=text)
    match = _CONDITIONAL(text)
    if match is not None:
        return Ref("conditional", match[1], query=match[2])
    return Ref("absolute", url=text) if _URL(text) else None


def _below_base(rest: str) -> Ref | None:
    if not rest.startswith("/"):
        return None
    rest = rest[1:]
    match = _RELATIVE(rest)
    if match is not None:
        return Ref("local", match[1], match[2], match[3])
    match = _CONDITIONAL(rest)
    if match is not None:
        return Ref("conditional", match[1], query=match[2])
    return None
