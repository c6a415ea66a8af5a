"""Which values the primitive types of R4 allow.

https://hl7.org/fhir/R4/datatypes.html#primitive
"""

import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from fhirserver.fhir.validation.narrative import narrative_problems

JsonType = Literal["string", "boolean", "integer", "number"]

_LONGEST_STRING = 1024 * 1024
_INTEGER_LIMIT = 1 << 31
# What a double can hold: larger or smaller numbers could neither be compared nor searched for.
_LARGEST_EXPONENT = 308
# Far more than anyone measures. PostgreSQL's numbers have at most 16383 digits after the point.
_LONGEST_NUMBER = 1000

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]").search
_YEAR = r"(?!0000)\d{4}"
_DATE = re.compile(rf"{_YEAR}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01]))?)?", re.ASCII).fullmatch
_INSTANT = re.compile(
    rf"{_YEAR}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?"
    r"(?:Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))",
    re.ASCII,
).fullmatch


@dataclass(frozen=True, slots=True)
class Primitive:
    """`allows` takes a value of the JSON type; `rule` says in words what it must be.

    `reasons`: why a value of the right form is not allowed, each in words. `code` is the type of the issue.
    """

    json_type: JsonType
    allows: Callable[[Any], object]
    rule: str
    reasons: Callable[[str], list[str]] | None = None
    code: str = "value"


def _is_text(value: str) -> bool:
    if not value or len(value) > _LONGEST_STRING:
        return False
    # isprintable is the fast answer for most; it is False for a line feed too.
    return value.isprintable() or _CONTROL(value) is None


def _is_xhtml(value: str) -> bool:
    return not narrative_problems(value)


def _exists(day: str) -> bool:
    """Whether a date of the right form is in the calendar."""
    if day[8:10] < "29":
        return True
    try:
        date.fromisoformat(day)
    except ValueError:
        return False
    return True


def _is_date(value: str) -> bool:
    return _DATE(value) is not None and (len(value) < 10 or _exists(value))


def _is_instant(value: str) -> bool:
    return _INSTANT(value) is not None and _exists(value[:10])


def _is_date_time(value: str) -> bool:
    return _is_instant(value) if len(value) > 10 else _is_date(value)


def _is_base64(value: str) -> bool:
    try:
        binascii.a2b_base64("".join(value.split()), strict_mode=True)
    except ValueError:
        return False
    return bool(value)


def _is_boolean(value: bool) -> bool:
    return True


def _is_decimal(value: Any) -> bool:
    if not isinstance(value, Decimal):
        return True
    return -_LARGEST_EXPONENT <= value.adjusted() <= _LARGEST_EXPONENT and len(str(value)) <= _LONGEST_NUMBER


def _is_integer(value: int) -> bool:
    return -_INTEGER_LIMIT <= value < _INTEGER_LIMIT


def _is_unsigned(value: int) -> bool:
    return 0 <= value < _INTEGER_LIMIT


def _is_positive(value: int) -> bool:
    return 0 < value < _INTEGER_LIMIT


def _form(expression: str) -> Callable[[str], object]:
    # \s in R4's expressions means what it means in XML Schema: no-break spaces are not blanks.
    return re.compile(expression, re.ASCII).fullmatch


_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_OID = r"[0-2](?:\.(?:0|[1-9][0-9]*))+"
_URI = Primitive("string", _form(r"[^\s\x00-\x1f]+"), "a URI without blanks")
URN = Primitive(
    "string",
    _form(rf"(?!urn:(?:uuid|oid):)[^\s\x00-\x1f]+|urn:(?:uuid:{_UUID}|oid:{_OID})(?:[|#][^\s\x00-\x1f]*)?"),
    "a URI without blanks (after urn:uuid: a UUID, after urn:oid: an OID)",
)
"""A URI that calls itself a UUID or an OID has to be one; a version or a fragment may follow."""
ABSOLUTE_URI = Primitive("string", _form(r"[A-Za-z][A-Za-z0-9+.\-]*:[^\s\x00-\x1f]+"), "an absolute URI")
_TEXT = Primitive("string", _is_text, "text of at most 1024*1024 characters without control characters")

PRIMITIVES: Mapping[str, Primitive] = {
    "base64Binary": Primitive("string", _is_base64, "base64 content"),
    "boolean": Primitive("boolean", _is_boolean, "true or false"),
    "canonical": _URI,
    "code": Primitive(
        "string",
        _form(r"[^\s\x00-\x1f]+(?:\s[^\s\x00-\x1f]+)*"),
        "a code, without blanks at the ends or two in a row",
    ),
    "date": Primitive("string", _is_date, "an existing date (YYYY, YYYY-MM or YYYY-MM-DD)"),
    "dateTime": Primitive(
        "string",
        _is_date_time,
        "an existing date (YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+zz:zz)",
    ),
    "decimal": Primitive("number", _is_decimal, "a number between 1e-308 and 1e308 of at most 1000 digits"),
    "id": Primitive("string", _form(r"[A-Za-z0-9\-.]{1,64}"), "an id (1 to 64 of A-Z, a-z, 0-9, - and .)"),
    "instant": Primitive("string", _is_instant, "an existing instant (YYYY-MM-DDThh:mm:ss.sss+zz:zz)"),
    "integer": Primitive("integer", _is_integer, "an integer of 32 bits"),
    "markdown": _TEXT,
    "oid": Primitive("string", _form(f"urn:oid:{_OID}"), "an OID (such as urn:oid:1.2.3)"),
    "positiveInt": Primitive("integer", _is_positive, "an integer between 1 and 2147483647"),
    "string": _TEXT,
    "time": Primitive(
        "string",
        _form(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"),
        "a time (hh:mm:ss)",
    ),
    "unsignedInt": Primitive("integer", _is_unsigned, "an integer between 0 and 2147483647"),
    "uri": _URI,
    "url": _URI,
    "uuid": Primitive(
        "string",
        _form(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
        "a UUID (urn:uuid: and lower-case hexadecimal digits)",
    ),
    "xhtml": Primitive("string", _is_xhtml, "XHTML in one <div>", narrative_problems, "invariant"),
}
