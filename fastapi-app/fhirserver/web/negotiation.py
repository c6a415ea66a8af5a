"""In which format a client wants the answer, and in which it sent the body. This server speaks JSON.

https://hl7.org/fhir/R4/http.html#mime-type and #parameters
"""

from functools import lru_cache

from fhirserver.fhir.outcomes import InvalidRequest, NotAcceptable, UnsupportedMediaType

FHIR_JSON = "application/fhir+json"
FORM = "application/x-www-form-urlencoded"
_ANSWERS = (FHIR_JSON, "application/json", "text/json")
_FORMATS = frozenset(("json", *_ANSWERS))
_FHIR_VERSIONS = frozenset(("4.0", "4.0.1"))
_CHARSETS = frozenset(("utf-8", "utf8"))


@lru_cache(maxsize=512)
def answer_type(accept: str | None, format: str | None) -> str:
    """The media type of the answer: the parameter `_format` decides, else the header Accept.

    Raises `NotAcceptable` if no kind of JSON is wanted.
    """
    if format is not None:
        kind, parameters = _media_type(format)
        # A plus sign that was not escaped in the URL arrives as a blank.
        if kind.replace(" ", "+") not in _FORMATS or not _is_r4(parameters):
            raise NotAcceptable(f"_format={format[:80]} is not supported: this server answers in {FHIR_JSON}")
        return FHIR_JSON
    if accept is None or not accept.strip():
        return FHIR_JSON
    ranges = [_media_type(part) for part in accept.split(",") if part.strip()]
    best, best_quality = None, 0.0
    for candidate in _ANSWERS:
        quality = _quality(candidate, ranges)
        if quality > best_quality:
            best, best_quality = candidate, quality
    if best is None:
        raise NotAcceptable(f"'Accept: {accept[:200]}' is not supported: this server answers in {FHIR_JSON}")
    return best


@lru_cache(maxsize=512)
def require_json_body(content_type: str | None) -> None:
    """`UnsupportedMediaType` unless a body with this Content-Type is JSON in UTF-8, for R4."""
    if content_type is None:
        raise UnsupportedMediaType(f"the body has no Content-Type; send {FHIR_JSON}")
    kind, parameters = _media_type(content_type)
    if kind not in _ANSWERS:
        raise UnsupportedMediaType(f"Content-Type '{content_type[:80]}' is not supported; send {FHIR_JSON}")
    _require_utf8(parameters)
    if not _is_r4(parameters):
        raise UnsupportedMediaType(f"fhirVersion {parameters['fhirversion'][:20]} is not 4.0")


@lru_cache(maxsize=512)
def require_form_body(content_type: str | None) -> None:
    """`UnsupportedMediaType` unless a body with this Content-Type is an HTML form."""
    if content_type is None:
        raise UnsupportedMediaType(f"the body has no Content-Type; send {FORM}")
    kind, parameters = _media_type(content_type)
    if kind != FORM:
        raise UnsupportedMediaType(f"Content-Type '{content_type[:80]}' is not supported; send {FORM}")
    _require_utf8(parameters)


def is_pretty(value: str | None) -> bool:
    """What the parameter `_pretty` says. `InvalidRequest` if that is neither true nor false."""
    if value in (None, "false"):
        return False
    if value == "true":
        return True
    raise InvalidRequest(f"_pretty is true or false, not '{str(value)[:80]}'", code="value")


def _media_type(text: str) -> tuple[str, dict[str, str]]:
    """`Text/JSON; Charset="utf-8"` → ("text/json", {"charset": "utf-8"})."""
    kind, *rest = text.split(";")
    parameters = {}
    for part in rest:
        name, _, value = part.partition("=")
        parameters[name.strip().lower()] = value.strip().strip('"').lower()
    return kind.strip().lower(), parameters


def _quality(candidate: str, ranges: list[tuple[str, dict[str, str]]]) -> float:
    """The q-value that the most specific matching range gives to a media type; 0 if none matches."""
    specificity, quality = -1, 0.0
    family = candidate.partition("/")[0] + "/*"
    for kind, parameters in ranges:
        rank = {candidate: 2, family: 1, "*/*": 0}.get(kind, -1)
        if rank <= specificity or not _is_r4(parameters):
            continue
        try:
            quality = float(parameters.get("q", "1"))
        except ValueError:
            continue
        specificity = rank
    return quality


def _is_r4(parameters: dict[str, str]) -> bool:
    return parameters.get("fhirversion", "4.0") in _FHIR_VERSIONS


def _require_utf8(parameters: dict[str, str]) -> None:
    if parameters.get("charset", "utf-8") not in _CHARSETS:
        raise UnsupportedMediaType(f"charset {parameters['charset'][:40]} is not supported; send UTF-8")
