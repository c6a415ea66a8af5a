"""The parameters of a request: those of its URL, and those of a form in its body.

https://hl7.org/fhir/R4/http.html#parameters
"""

from dataclasses import dataclass
from urllib.parse import urlencode

from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.search.query.parameters import query_parameters
from fhirserver.web.negotiation import answer_type, is_pretty
from fhirserver.web.scope import Scope, header

_FORMATTING = frozenset(("_format", "_pretty"))


@dataclass(frozen=True, slots=True)
class Parameters:
    """`items` in the order of the request, without `_format` and `_pretty`, which became the other two."""

    items: tuple[tuple[str, str], ...]
    media_type: str
    pretty: bool

    def as_query(self) -> str:
        """The items as the query of a URL."""
        return urlencode(self.items)


def parameters_of(scope: Scope, form: bytes = b"") -> Parameters:
    """The parameters of the URL and then those of the form.

    Raises `InvalidRequest` for what is not UTF-8 and for too many, `NotAcceptable` if no JSON is wanted.
    """
    query = scope["query_string"]
    if not query and not form:
        return Parameters((), answer_type(header(scope, b"accept"), None), False)
    given = [*_parse(query), *_parse(form)]
    formatting = {name: value for name, value in given if name in _FORMATTING}
    return Parameters(
        tuple(item for item in given if item[0] not in _FORMATTING),
        answer_type(header(scope, b"accept"), formatting.get("_format")),
        is_pretty(formatting.get("_pretty")),
    )


def _parse(text: bytes) -> list[tuple[str, str]]:
    try:
        return query_parameters(text.decode())
    except UnicodeDecodeError as error:
        raise InvalidRequest("the parameters are not UTF-8") from error
