import copy
import json
import pickle
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirserver.fhir.outcomes import MalformedBody
from fhirserver.fhir.resource_json import Number, parse, pretty, serialize

from .exactness import exactly

LITERALS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,25})((\.[0-9]{1,20})([eE][+-]?[0-9]{1,3})?|[eE][+-]?[0-9]{1,3})", fullmatch=True
)
# All characters but lone surrogates.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | LITERALS.map(Number) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_what_is_serialized_parses_to_the_same(value: dict[str, Any]) -> None:
    data = serialize(value)
    assert parse(data) == value
    assert serialize(parse(data)) == data
    assert exactly(pretty(data)) == exactly(data)


@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4), st.data())
def test_a_duplicate_is_found_wherever_it_is(value: dict[str, Any], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(value)))
    doubled = serialize(value).decode()[:-1] + f", {json.dumps(key)}: 1}}"
    depth = data.draw(st.integers(0, 3))
    with pytest.raises(MalformedBody, match="Duplicate key"):
        parse((depth * '{"a": [' + doubled + depth * "]}").encode())


@pytest.mark.parametrize(
    "text", ["1.00", "1e2", "1E+2", "-0", "-0.0", "0.10", "12345678901234567890123", "1e-7", "0." + "1" * 100]
)
def test_numbers_stay_as_they_are_written(text: str) -> None:
    number = parse(b'{"a":' + text.encode() + b"}")["a"]
    assert type(number) is Number
    assert number.text == text
    assert number == Decimal(text)
    assert serialize({"a": number}) == b'{"a":' + text.encode() + b"}"
    assert pickle.loads(pickle.dumps(number)).text == copy.deepcopy([number])[0].text == text


@pytest.mark.parametrize("number", [0, -1, 2**63 - 1, -(2**63)])
def test_integers_of_64_bits_are_int(number: int) -> None:
    parsed = parse(b'{"a":%d}' % number)["a"]
    assert parsed == number
    assert type(parsed) is int


def test_decimals_of_other_origin_are_serialized() -> None:
    assert serialize([Decimal("1.50"), Decimal(3)]) == b"[1.50,3]"


@pytest.mark.parametrize("value", [object(), Decimal("NaN"), {1, 2}])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        serialize({"a": value})


def test_pretty() -> None:
    assert pretty(b'{"a":[1.00,{"b":1e2}],"c":[]}') == (
        b'{\n  "a": [\n    1.00,\n    {\n      "b": 1e2\n    }\n  ],\n  "c": []\n}'
    )


def test_order_and_characters_are_kept() -> None:
    data = '{"z":"ñ😀\\u2028","a":{"y":null,"b":true}}'.encode()
    assert list(parse(data)) == ["z", "a"]
    assert serialize(parse(data)) == '{"z":"ñ😀\u2028","a":{"y":null,"b":true}}'.encode()


def test_a_byte_order_mark_is_tolerated() -> None:
    assert parse(b"\xef\xbb\xbf{}") == {}


def test_depth() -> None:
    assert parse(b'{"a":' * 99 + b"{}" + b"}" * 99)
    assert parse(b'{"a":' + b"[" * 99 + b"]" * 99 + b"}")
    assert parse(b'{"a":{},"b":' + b'{"c":' * 1 + b"[]}}", max_depth=3)


@pytest.mark.parametrize(
    ("data", "problem", "line", "column"),
    [
        (b"", "Expecting value", 1, 1),
        (b"  ", "Expecting value", 1, 3),
        (b"[1]", "not a JSON object", 1, 1),
        (b'\n "a"', "not a JSON object", 2, 2),
        (b"{a:1}", "property name", 1, 2),
        (b"{'a':1}", "property name", 1, 2),
        (b'{"a":1,}', "property name", 1, 8),
        (b'{"a" 1}', "delimiter", 1, 6),
        (b'{"a":01}', "delimiter", 1, 7),
        (b'{"a":.5}', "Expecting value", 1, 6),
        (b'{"a":+5}', "Expecting value", 1, 6),
        (b'{"a":1.}', "delimiter", 1, 7),
        (b'{"a":tru}', "Expecting value", 1, 6),
        (b'{"a":1} x', "Extra data", 1, 9),
        (b'{"a":1}{"b":2}', "Extra data", 1, 8),
        (b'{"a":"', "Unterminated string", 1, 6),
        (b'{"a":"\n"}', "control character", 1, 7),
        (b'{"a":"\\x"}', "escape", 1, 7),
        (b'{"a":"\xff"}', "not valid UTF-8", 1, 7),
        (b'{"a":"\xed\xa0\x80"}', "not valid UTF-8", 1, 7),
        ('{"é":"'.encode() + b"\x80", "not valid UTF-8", 1, 7),
        ('{"a":1}'.encode("utf-16"), "not valid UTF-8", 1, 1),
        (b'{"a":NaN}', "NaN", 1, 6),
        (b'{"a":Infinity}', "Infinity", 1, 6),
        (b'{\n"a":-Infinity}', "-Infinity", 2, 5),
        (b'{"a":"NaN","b":NaN}', "NaN", 1, 16),
        (b'{"a":1e99999999999999999999}', "out of range", 1, 6),
        (b'{"a":1,"a":2}', 'Duplicate key "a"', 1, 8),
        (b'{"a":{"b":1,\n"\\u0062":1}}', 'Duplicate key "b"', 2, 1),
        (b'{"b":{"a":1},"a":[{"a":1},{"c":"\\"a\\":", "c":1}]}', 'Duplicate key "c"', 1, 42),
        (b'{"a":"\\ud800"}', "lone surrogate", 1, 7),
        (b'{"a":"\\\\\\ud800\\u0041"}', "lone surrogate", 1, 9),
        (b'{"a":"\\ude00\\ud83d"}', "lone surrogate", 1, 7),
        (b'{"a":"\\ud83d\\ude00 \\uD83D"}', "lone surrogate", 1, 20),
        (b'{"\\ud800":1}', "lone surrogate", 1, 3),
        (b'{"a":' * 100 + b"{}" + b"}" * 100, "nested deeper than 100", 1, 501),
        (b'{"a":' + b"[" * 100 + b"]" * 100 + b"}", "nested deeper than 100", 1, 105),
        (b'{"a":' + b"[" * 200000, "nested deeper than 100", 1, 105),
    ],
)
def test_malformed(data: bytes, problem: str, line: int, column: int) -> None:
    with pytest.raises(MalformedBody) as caught:
        parse(data)
    (issue,) = caught.value.issues
    assert problem in issue.diagnostics
    assert issue.diagnostics.endswith(f"(line {line}, column {column})")
    assert issue.severity == "error"


def test_escaped_backslashes_are_no_surrogates() -> None:
    assert parse(b'{"a":"\\\\ud800"}') == {"a": "\\ud800"}
