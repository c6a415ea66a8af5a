"""The text of a query → its parameters.

https://hl7.org/fhir/R4/http.html#parameters
"""

from urllib.parse import parse_qsl

from fhirserver.fhir.outcomes import InvalidRequest

MAX_PARAMETERS = 1000


def query_parameters(query: str) -> list[tuple[str, str]]:
    """The decoded (name, value) pairs of `name=value&name=value`, in their order; empty values are kept.

    Raises InvalidRequest for what is not UTF-8, for U+0000 and for too many.
    """
    try:
        items = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except UnicodeDecodeError as error:
        raise InvalidRequest("the parameters are not UTF-8") from error
    except ValueError as error:
        raise InvalidRequest(f"more than {MAX_PARAMETERS} parameters", code="too-costly") from error
    if any("\x00" in name or "\x00" in value for name, value in items):
        raise InvalidRequest("the parameters contain the character U+0000")
    return items
