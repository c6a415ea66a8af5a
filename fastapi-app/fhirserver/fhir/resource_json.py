"""The JSON of resources: text to dict and back, with nothing lost and nothing guessed.

Stricter than JSON where FHIR is: no duplicate keys, no NaN, no lone surrogates; and exact where JSON
readers are not: `1.00` stays `1.00`, and elements keep their order.

https://hl7.org/fhir/R4/json.html
"""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

import orjson

from fhirserver.fhir.outcomes import Issue, MalformedBody

# Deeper than any resource this server accepts, so that what was stored can always be sent.
_DEEPEST = 250


class Number(Decimal):
    """A JSON number that is no plain integer. Behaves as its value; `text` is how it was written."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> "Number":
        """Raises decimal.InvalidOperation if the text is no number or its exponent is beyond Decimal."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __reduce__(self) -> tuple[type["Number"], tuple[str]]:
        return Number, (self.text,)

    def __copy__(self) -> "Number":
        return self

    def __deepcopy__(self, memo: Any) -> "Number":
        return self


class _Refused(ValueError):
    """Valid for json, but not for FHIR. Where it is, is found out in a second pass."""


def parse(data: bytes, *, max_depth: int = 100) -> dict[str, Any]:
    """The JSON object in these UTF-8 bytes; a byte order mark before it is tolerated.

    Integers of up to 64 bits are int, all other numbers are Number. Raises MalformedBody, with line and
    column, for broken JSON, invalid UTF-8, duplicate keys, NaN and Infinity, lone surrogates, objects and
    arrays nested deeper than `max_depth`, and for anything that is no object.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        raise _malformed("The body is not valid UTF-8", before, len(before)) from None
    try:
        value = _DECODER.decode(text)
    except _Refused:
        _refuse(text, max_depth)
    except json.JSONDecodeError as error:
        raise _malformed(f"The body is not valid JSON: {error.msg}", text, error.pos) from None
    except RecursionError:
        _refuse(text, max_depth)
    if type(value) is not dict:
        raise _malformed("The body is not a JSON object", text, len(text) - len(text.lstrip()))
    if text.count("{") + text.count("[") > max_depth and _is_deeper(value, max_depth):
        _refuse(text, max_depth)
    if _SURROGATE(text):
        _check_surrogates(text)
    return value


def serialize(value: Any) -> bytes:
    """Compact UTF-8 JSON of dicts, lists, strings, ints, bools, None and Numbers; the order is kept.

    Raises TypeError for anything else.
    """
    return orjson.dumps(value, _exact)


def pretty(data: bytes) -> bytes:
    """The same JSON object with an indentation of two spaces; every number stays as it is written."""
    return orjson.dumps(parse(data, max_depth=_DEEPEST), _exact, orjson.OPT_INDENT_2)


def _exact(value: Any) -> orjson.Fragment:
    if type(value) is Number:
        return orjson.Fragment(value.text)
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(str(value))
    raise TypeError(f"{type(value).__name__} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _Refused
    return result


def _integer(text: str) -> int | Number:
    if len(text) < 19:
        return int(text) if text != "-0" else _number(text)
    if len(text) < 21:
        number = int(text)
        if -(1 << 63) <= number < 1 << 63:
            return number
    return _number(text)


def _number(text: str) -> Number:
    try:
        return Number(text)
    except InvalidOperation:
        raise _Refused from None


def _constant(text: str) -> NoReturn:
    raise _Refused


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_number, parse_int=_integer, parse_constant=_constant
)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]").search
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL).finditer
_TOKEN = re.compile(
    r'(?P<string>"(?:[^"\\]|\\.)*")(?P<key>[ \t\n\r]*:)?|(?P<open>[{\[])|(?P<close>[}\]])'
    r"|(?P<word>-?(?:NaN|Infinity|[0-9][0-9.eE+\-]*))",
    re.DOTALL,
).finditer


def _is_deeper(value: dict[str, Any], max_depth: int) -> bool:
    level: list[Any] = [value]
    for _ in range(max_depth):
        level = [
            part
            for container in level
            for part in (container.values() if type(container) is dict else container)
            if type(part) is dict or type(part) is list
        ]
        if not level:
            return False
    return True


def _refuse(text: str, max_depth: int) -> NoReturn:
    """Find what was refused, token by token, and raise MalformedBody for it."""
    keys: list[set[str]] = []
    for token in _TOKEN(text):
        if token["open"]:
            keys.append(set())
            if len(keys) > max_depth:
                raise _malformed(f"The body is nested deeper than {max_depth} levels", text, token.start())
        elif token["close"]:
            if keys:
                keys.pop()
        elif token["key"]:
            key = json.loads(token["string"], strict=False)
            if keys and key in keys[-1]:
                raise _malformed(f"Duplicate key {_shown(key)}", text, token.start())
            if keys:
                keys[-1].add(key)
        elif token["word"]:
            word = token["word"]
            if word.endswith(("NaN", "Infinity")):
                raise _malformed(f"{word} is not a JSON number", text, token.start())
            try:
                Decimal(word)
            except InvalidOperation:
                raise _malformed("Number out of range", text, token.start()) from None
    raise _malformed("The body is not valid JSON", text, 0)


def _check_surrogates(text: str) -> None:
    high: re.Match[str] | None = None
    for escape in _ESCAPE(text):
        code = int(escape[1], 16) if escape[1] else 0
        if high is not None and not (0xDC00 <= code <= 0xDFFF and escape.start() == high.end()):
            break
        if high is None and 0xDC00 <= code <= 0xDFFF:
            high = escape
            break
        high = escape if 0xD800 <= code <= 0xDBFF else None
    if high is not None:
        raise _malformed(f"{high[0]} is half of a character (lone surrogate)", text, high.start())


def _shown(key: str) -> str:
    return json.dumps(key if len(key) <= 64 else key[:64] + "…", ensure_ascii=not key.isprintable())


def _malformed(problem: str, text: str, position: int) -> MalformedBody:
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    told = f"{problem} (line {line}, column {column})"
    return MalformedBody([Issue("error", "structure", told, position=(line, column))])
