from decimal import Decimal
from typing import Any

import pytest

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.resource_json import Number
from fhirserver.fhir.validation.primitives import PRIMITIVES

VALUES: list[tuple[str, Any, bool, str]] = [
    ("base64Binary", "YQ==", True, "padded"),
    ("base64Binary", "YWJj\nYWJj", True, "with a line feed"),
    ("base64Binary", "YQ=", False, "not enough padding"),
    ("base64Binary", "YQ", False, "no padding"),
    ("base64Binary", "Y-_=", False, "the alphabet for URLs"),
    ("base64Binary", "é", False, "not ASCII"),
    ("boolean", True, True, "true"),
    ("canonical", "http://a/b|1.0", True, "with a version"),
    ("canonical", "http://a/b c", False, "a blank"),
    ("code", "a", True, "a code"),
    ("code", "a b", True, "one blank inside"),
    ("code", "a  b", False, "two blanks"),
    ("code", " a", False, "a blank before"),
    ("code", "a ", False, "a blank after"),
    ("code", "CHEST\u00a0", True, "XML Schema does not count a no-break space as blank; HL7 has such a code"),
    ("code", "a\u0000b", False, "a control character"),
    ("date", "2024", True, "a year"),
    ("date", "2024-02", True, "a month"),
    ("date", "2024-02-29", True, "a leap day"),
    ("date", "2023-02-29", False, "no leap year"),
    ("date", "2024-04-31", False, "April has 30 days"),
    ("date", "0000", False, "no such year"),
    ("date", "24", False, "two digits"),
    ("date", "2024-1-1", False, "one digit"),
    ("date", "2024-13", False, "no such month"),
    ("date", "2024-01-01T00:00:00Z", False, "a time"),
    ("date", "2024-01-01\n", False, "a line feed"),
    ("dateTime", "2024", True, "a year"),
    ("dateTime", "2024-01-01T00:00:00Z", True, "UTC"),
    ("dateTime", "2024-01-01T00:00:00.123456789+14:00", True, "nanoseconds, the farthest zone"),
    ("dateTime", "2024-01-01T23:59:60Z", True, "a leap second"),
    ("dateTime", "2024-01-01T00:00:00", False, "no zone"),
    ("dateTime", "2024-01-01T00:00Z", False, "no seconds"),
    ("dateTime", "2024-01-01T24:00:00Z", False, "hours end at 23"),
    ("dateTime", "2024-01-01T00:00:00+14:30", False, "too far a zone"),
    ("dateTime", "2024-02-30T00:00:00Z", False, "no such day"),
    ("dateTime", "2024-01-01 00:00:00Z", False, "no T"),
    ("decimal", 1, True, "an integer is a decimal"),
    ("decimal", Number("1.00"), True, "with zeros"),
    ("decimal", Number("1e2"), True, "with an exponent"),
    ("decimal", Number("0.0"), True, "zero"),
    ("decimal", Decimal("1.5"), True, "a decimal of other origin"),
    ("decimal", Number("1e400"), False, "more than a double can hold"),
    ("decimal", Number("-1e-400"), False, "less than a double can hold"),
    ("id", "a-1.B", True, "an id"),
    ("id", "a" * 65, False, "too long"),
    ("id", "a_b", False, "an underscore"),
    ("instant", "2024-01-01T00:00:00.000Z", True, "milliseconds"),
    ("instant", "2024-01-01T00:00:00-11:30", True, "no fraction"),
    ("instant", "2024-01-01", False, "no time"),
    ("instant", "2023-02-29T00:00:00Z", False, "no such day"),
    ("integer", 2**31 - 1, True, "the largest"),
    ("integer", -(2**31), True, "the smallest"),
    ("integer", 2**31, False, "more than 32 bits"),
    ("markdown", "# A\n\n* b\tc\r\n", True, "lines"),
    ("markdown", "a\u0001", False, "a control character"),
    ("oid", "urn:oid:1.2.840.0.3", True, "an OID"),
    ("oid", "urn:oid:1.02", False, "a leading zero"),
    ("oid", "1.2.3", False, "no urn:oid:"),
    ("oid", "urn:oid:3.1", False, "roots are 0, 1 and 2"),
    ("positiveInt", 1, True, "the smallest"),
    ("positiveInt", 0, False, "zero"),
    ("positiveInt", 2**31, False, "more than 31 bits"),
    ("string", "ñ 😀 \u00a0", True, "any characters"),
    ("string", "a\r\n\tb", True, "the control characters that are allowed"),
    ("string", "\u001b[0m", False, "a control character"),
    ("string", "a" * 1024 * 1024, True, "the longest"),
    ("string", "a" * (1024 * 1024 + 1), False, "too long"),
    ("time", "23:59:59", True, "a time"),
    ("time", "00:00:00.5", True, "with a fraction"),
    ("time", "24:00:00", False, "hours end at 23"),
    ("time", "10:00", False, "no seconds"),
    ("time", "10:00:00Z", False, "times have no zone"),
    ("unsignedInt", 0, True, "zero"),
    ("unsignedInt", -1, False, "negative"),
    ("uri", "urn:uuid:x", True, "any scheme"),
    ("uri", "a/b?c#d", True, "relative"),
    ("uri", "a b", False, "a blank"),
    ("url", "mailto:a@b", True, "a URL"),
    ("url", "http://a\n", False, "a line feed"),
    ("uuid", "urn:uuid:c757873d-ec9a-4326-a141-556f43239520", True, "a UUID"),
    ("uuid", "urn:uuid:C757873D-EC9A-4326-A141-556F43239520", False, "upper case"),
    ("uuid", "c757873d-ec9a-4326-a141-556f43239520", False, "no urn:uuid:"),
    ("xhtml", '<div xmlns="http://www.w3.org/1999/xhtml">a</div>', True, "a div"),
    ("xhtml", "<p>a</p>", False, "no div"),
]


@pytest.mark.parametrize(
    ("type_code", "value", "valid", "reason"),
    [pytest.param(*row, id=f"{row[0]}: {row[3]}") for row in VALUES],
)
def test_value(type_code: str, value: Any, valid: bool, reason: str) -> None:
    assert bool(PRIMITIVES[type_code].allows(value)) is valid, reason


@pytest.mark.parametrize("type_code", [code for code, p in PRIMITIVES.items() if p.json_type == "string"])
def test_empty_strings_are_no_values(type_code: str) -> None:
    assert not PRIMITIVES[type_code].allows("")


def test_all_primitives_of_r4_and_no_others(definitions: Definitions) -> None:
    kinds = {name: definitions.type(name).kind for name in definitions.data_types}
    assert {name for name, kind in kinds.items() if kind == "primitive-type"} == PRIMITIVES.keys()
