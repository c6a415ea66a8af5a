"""Numbers, dates, quantities, texts: what HL7's own tests don't ask. An empty result is the text ''.

https://hl7.org/fhirpath/N1/
"""

from datetime import UTC, datetime

import pytest

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.fhirpath import Environment, FhirPathError, compile_expression


def evaluate(definitions: Definitions, expression: str) -> str:
    env = Environment(now=datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC))
    found = compile_expression(expression, "Patient", definitions).evaluate({"resourceType": "Patient"}, env)
    return ", ".join(str(value).lower() if isinstance(value, bool) else str(value) for value in found)


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("7 / 2", "3.5"),
        ("6 / 2", "3"),
        ("-7 div 2", "-3"),  # towards zero
        ("-7 mod 2", "-1"),  # the sign of the dividend
        ("7 mod -2", "1"),
        ("5.5 mod 2", "1.5"),
        ("-5.5 div 2", "-2"),
        ("0.1 + 0.2", "0.3"),  # decimals, not floats
        ("1.10 * 2", "2.20"),
        ("2.5.round()", "3"),
        ("(-2.5).round()", "-3"),  # away from zero
        ("2.4449.round(2)", "2.44"),
        ("2.round(2)", "2"),
        ("8.log(2)", "3"),
        ("0.ln()", ""),
        ("2.power(0.5)", "1.414213562373095048801688724209698"),
        ("2.power(-1)", "0.5"),
        ("0.power(0)", ""),  # not defined
        ("(-8).abs()", "8"),
        ("(-1.5).truncate()", "-1"),
        ("1 + 'a'.length()", "2"),
        ("1 + {}", ""),
        ("-(1 + 2)", "-3"),
        ("1 = 1.0", "true"),
        ("1.0 = 1.00", "true"),
        ("1.26 ~ 1.3", "true"),  # to the digits of the less precise
        ("1.26 ~ 1.2", "false"),
        ("1.26 ~ 1.0", "true"),  # of which zeros at the end are none
        ("2147483647", "2147483647"),
    ],
)
def test_numbers(definitions: Definitions, expression: str, result: str) -> None:
    assert evaluate(definitions, expression) == result


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("@2024-01-31 + 1 month", "2024-02-29"),  # the last day of a shorter month
        ("@2024-02-29 + 1 year", "2025-02-28"),
        ("@2024-03-31 - 1 month", "2024-02-29"),
        ("@2024-12 + 1 month", "2025-01"),
        ("@2024 + 25 months", "2026"),  # in whole years
        ("@2024-05 + 45 days", "2024-06"),  # in whole months of 30 days
        ("@2024 + 1 day", "2024"),
        ("@2024-02-28 + 36 hours", "2024-02-29"),  # in whole days
        ("@2024-02-28T23:30 + 45 minutes", "2024-02-29T00:15"),
        ("@2024-02-28T23:30 + 45 seconds", "2024-02-28T23:30"),
        ("@2024-02-28T23:59:59.5 + 0.75 seconds", "2024-02-29T00:00:00.25"),
        ("@2024-01-01T00:00:00+02:00 - 1 second", "2023-12-31T23:59:59+02:00"),
        ("@T23:30:00 + 1 hour", "00:30:00"),  # a Time goes round
        ("@T00:00 - 1 minute", "23:59"),
        ("@T12:00:00 + 90.5 seconds", "12:01:30.5"),
        ("@0001-01-01 - 1 day", ""),  # before the first year
        ("@2024-01-01 + 2 weeks", "2024-01-15"),
        ("@2024-01-01 + 1500 milliseconds", "2024-01-01"),
        ("@2024-01-01T10 = @2024-01-01T10:00", ""),  # precision differs
        ("@2024-01-01T10 = @2024-01-01T11:00", "false"),  # but this is sure
        ("@2024-01-01T12:00:00Z = @2024-01-01T13:00:00+01:00", "true"),
        ("@2024-01-01T23:00:00-02:00 > @2024-01-02T00:30:00Z", "true"),
        ("@2024-01-01T12:00:00Z < @2024-01-02T00:00:00", ""),  # not if that is at +14:00
        ("@2024-01-01T00:00:00Z < @2024-01-02T00:00:00", "true"),
        ("@2024-01-01T09:30Z < @2024-01-02T00", ""),  # if that is 00:00 at +14:00 it is 10:00Z, and hours are vague
        ("@2024-01-02T12:00:00Z > @2024-01-02T00:00:00", ""),  # not if that is at -12:00
        ("@2024-01-02T12:05:00Z > @2024-01-02T00:00:00", "true"),
        ("@2024-01-01T00:00:00Z < @2024-01-03T00:00:00", "true"),  # wherever that is
        ("@2024-01-03T00:00:00 > @2024-01-01T00:00:00Z", "true"),
        ("@2024-01-01T00:00:00Z = @2024-01-03T00:00:00", "false"),
        ("@2024 ~ @2024-01", "false"),
        ("@2024-01-01 = @2024-01-01T", "true"),
        ("@2024-01-01T10:00:00.000 ~ @2024-01-01T10:00:00", "true"),
        ("(@2024-01-01T12:00:00Z | @2024-01-01T13:00:00+01:00).count()", "1"),
        ("now()", "2026-03-04T05:06:07.890Z"),
        ("today()", "2026-03-04"),
        ("timeOfDay()", "05:06:07.890"),
        ("now() = now()", "true"),
        ("'2024-02-30'.toDate()", ""),  # does not exist
        ("'2024-02-29T10:00:00Z'.toDate()", "2024-02-29"),
        ("@2024-02-29T10:00:00Z.toDate()", "2024-02-29"),
        ("@2024-02-29.toDateTime()", "2024-02-29"),
        ("'25:00'.convertsToTime()", "false"),
        ("@2024-02-29T10:00.toString()", "2024-02-29T10:00"),
        ("@2023.lowBoundary(8)", "2023-01-01"),
        ("@2024-02.highBoundary(8)", "2024-02-29"),
        ("@2024-02-01T10:00:30.5.highBoundary()", "2024-02-01T10:00:30.599-12:00"),
        ("@2024-02-01T10:00:30Z.highBoundary(14)", "2024-02-01T10:00:30Z"),
        ("@T10.lowBoundary(6)", "10:00:00"),
        ("@2024.lowBoundary(5)", ""),  # no such precision
    ],
)
def test_dates(definitions: Definitions, expression: str, result: str) -> None:
    assert evaluate(definitions, expression) == result


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("1 'kg' = 1000 'g'", "true"),
        ("1 'kg' > 999.9 'g'", "true"),
        ("1 'kg' = 1 'm'", ""),  # nothing that could be compared
        ("1 'kg' > 1 'm'", ""),
        ("1 'foo' = 1 'foo'", "true"),  # not UCUM, but the same
        ("1 'foo' = 1 'bar'", ""),
        ("37 'Cel' = 310.15 'K'", "true"),
        ("1 year = 12 months", "true"),
        ("1 year = 1 'a'", ""),  # a calendar year is no definite time
        ("1 year ~ 1 'a'", "true"),  # but about that long
        ("1 year = 365 days", ""),
        ("1 week = 7 days", "true"),
        ("1 'min' = 60 seconds", "true"),
        ("1 'm' + 5 'cm'", "1.05 'm'"),  # in the unit of the first
        ("1 'm' - 1 's'", ""),
        ("1 week + 1 day", "1.142857142857142857142857142857143 weeks"),
        ("2 'm' * 3", "6 'm'"),
        ("3 * 2 'm'", "6 'm'"),
        ("6 'm' / 2", "3 'm'"),
        ("6 'm' / 2 's' = 3 'm/s'", "true"),
        ("6 'm' / 0", ""),
        ("-(1 'm')", "-1 'm'"),
        ("1 'm' ~ 100 'cm'", "true"),
        ("1 'm' ~ 1 's'", "false"),
        ("1.toQuantity('mg')", ""),  # a number is no mass
        ("'1 \\'g\\''.toQuantity('mg')", "1000 'mg'"),
        ("1 'kg'.toQuantity('g') = 1000 'g'", "true"),
        ("2 days.toString()", "2 days"),
        ("'1 foo'.toQuantity()", ""),
        ("(1 'kg' | 1000 'g').count()", "1"),
        ("1 '1' = 1", "true"),
        ("10 '%' = 0.1", "true"),
        ("1 'cm'.comparable(1 '[in_i]')", "true"),
    ],
)
def test_quantities(definitions: Definitions, expression: str, result: str) -> None:
    assert evaluate(definitions, expression) == result


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("'a' & {} & 'b'", "ab"),
        ("'a' + {}", ""),
        ("'Ünïted' ~ 'ÜNÏTED'", "true"),
        ("'a  b' ~ ' a\\tb '", "true"),  # white space is the same
        ("'ab'.indexOf('b')", "1"),
        ("'abab'.lastIndexOf('b')", "3"),
        ("'abc'.substring(1, 0)", ""),
        ("'abc'.substring(3)", ""),
        ("'a.b'.matches('a\\\\.b')", "true"),
        ("'xaby'.matches('ab')", "true"),  # anywhere
        ("'xaby'.matchesFull('ab')", "false"),
        ("'2024-05'.replaceMatches('(\\\\d+)-(?P<month>\\\\d+)', '${month}/$1')", "05/2024"),
        ("'abc'.toChars().count()", "3"),
        ("'a,b'.split(',').join('-')", "a-b"),
        ("'abc'.toInteger()", ""),
        ("'+7'.toInteger()", "7"),
        ("'99999999999'.toInteger()", ""),
        ("'1.5'.toDecimal()", "1.5"),
        ("'1e3'.toDecimal()", ""),
        ("'Yes'.toBoolean()", "true"),
        ("1.5.toBoolean()", ""),
        ("true.toString()", "true"),
        ("0.00000001.toString()", "0.00000001"),  # no exponent
        ("'ab'.encode('base64').decode('base64')", "ab"),
        ("'€'.decode('hex')", ""),
        ("('b' | 'a').sort().join()", "ab"),
        ("'\\u00e9\\n'.length()", "2"),
    ],
)
def test_texts(definitions: Definitions, expression: str, result: str) -> None:
    assert evaluate(definitions, expression) == result


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("1 + 'a'", "'+' is not defined for Integer and String (position 2"),
        ("'a' - 'b'", "'-' is not defined for String and String"),
        ("@2024-01-01 + 1 'kg'", "'+' is not defined for Date and Quantity"),
        ("@2024-01-01 + 1 'a'", "'+' is not defined for Date and Quantity"),  # not a calendar year
        ("-'a'", "'-' is not defined for String"),
        ("1 < 'a'", "Integer and String can't be compared (position 2"),
        ("true < false", "Boolean and Boolean can't be compared"),
        ("@2024 < @T10", "Date and Time can't be compared"),
        ("(1 | 2) + 1", "a single item was expected, there are 2"),
        ("(1 | 2) and true", "a single item was expected, there are 2"),
        ("(1 | 2).single()", "single(): there are 2 items"),
        ("1.substring(1)", "substring(): String was expected, not System.Integer"),
        ("'a'.substring('b')", "substring(): Integer was expected, not System.String"),
        ("'a'.abs()", "abs(): a number was expected, not String"),
        ("(1 | 'a').allTrue()", "allTrue(): Booleans were expected, not Integer"),
        ("('a' | 1).join()", "join(): Strings were expected, not Integer"),
        ("'a'.encode('rot13')", "'rot13' is not hex, base64 or urlbase64"),
        ("(true | 1).sort()", "sort(): these items have no order"),
        ("'a'.foo()", "there is no function foo() (position 4"),
        ("'a'.length(1)", "length() does not take 1 arguments"),
        ("'a'.is(Foo)", "this is not the name of a type"),
        ("'a'.foo", "System.String has no element 'foo'"),
        ("@2024-02-30", "@2024-02-30 does not exist"),
        ("(1 | 2)['a']", "an index is an Integer"),
        ("(1 | 2) is Integer", "'is' takes a single item"),
        ("%foo", "there is no variable %foo"),
        ("iif(1, 2)", "iif(): the criterion is no Boolean"),
    ],
)
def test_errors(definitions: Definitions, expression: str, message: str) -> None:
    with pytest.raises(FhirPathError) as caught:
        evaluate(definitions, expression)
    assert message in str(caught.value)


def test_without_a_clock_there_is_no_time(definitions: Definitions) -> None:
    with pytest.raises(FhirPathError, match="there is no clock"):
        compile_expression("today()", "Patient", definitions).evaluate({"resourceType": "Patient"})
