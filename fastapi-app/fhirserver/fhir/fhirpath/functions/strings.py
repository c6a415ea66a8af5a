"""https://hl7.org/fhirpath/N1/#string-manipulation"""

import base64
import binascii
import html
import json
from collections.abc import Callable
from typing import Any

from fhirserver.fhir.fhirpath import nodes, selection
from fhirserver.fhir.fhirpath.environment import Environment
from fhirserver.fhir.fhirpath.invocation import Function, Invocation
from fhirserver.fhir.fhirpath.patterns import compile_pattern, substitute
from fhirserver.fhir.fhirpath.selection import Selection, computed, several

LONGEST_TEXT = 1_000_000
_SHORT = 100  # so many characters are the work of a step


def _of_text(type_name: str, function: Callable[..., Any], *kinds: str) -> Callable[[Invocation], Selection]:
    """A function of a text, and of arguments that are texts or integers; empty if one of them is."""

    def build(call: Invocation) -> Selection:
        text = call.text(call.source)
        arguments = [
            call.integer(call.argument(place)) if kinds[place] == nodes.INTEGER else call.text(call.argument(place))
            for place in range(len(call.arguments))
        ]
        evaluate = _evaluation(call, text, arguments, function)
        return computed(type_name, evaluate)

    return build


def _evaluation(
    call: Invocation, text: selection.One, arguments: list[selection.One], function: Callable[..., Any]
) -> selection.One:
    error = call.error
    if len(arguments) == 1:
        argument = arguments[0]

        def with_one(item: Any, env: Environment) -> Any:
            value = text(item, env)
            if value is None:
                return None
            other = argument(item, env)
            if other is None:
                return None
            if len(value) > _SHORT:
                env.spend(len(value) // _SHORT)
            try:
                return function(value, other)
            except ValueError as problem:
                raise error(f"{call.name}(): {problem}") from None

        return with_one

    def with_all(item: Any, env: Environment) -> Any:
        values = [text(item, env), *(argument(item, env) for argument in arguments)]
        if any(value is None for value in values):
            return None
        env.spend(len(values[0]) // _SHORT)
        try:
            return function(*values)
        except ValueError as problem:
            raise error(f"{call.name}(): {problem}") from None

    return with_all


def bounded(text: str) -> str:
    """A text that was made. Raises ValueError if it is too long."""
    if len(text) > LONGEST_TEXT:
        raise ValueError(f"a text is longer than {LONGEST_TEXT} characters")
    return text


def _substring(text: str, start: int, length: int | None = None) -> str | None:
    if not 0 <= start < len(text):
        return None
    return text[start:] if length is None else text[start : start + max(length, 0)]


def _replace(text: str, pattern: str, substitution: str) -> str:
    if len(text) * (len(substitution) + 1) > LONGEST_TEXT and text.count(pattern) * len(substitution) > LONGEST_TEXT:
        raise ValueError(f"a text is longer than {LONGEST_TEXT} characters")
    return bounded(text.replace(pattern, substitution))


def _matches(text: str, pattern: str) -> bool:
    return compile_pattern(pattern).search(text) is not None


def _matches_full(text: str, pattern: str) -> bool:
    return compile_pattern(pattern).fullmatch(text) is not None


def _replace_matches(text: str, pattern: str, substitution: str) -> str:
    if not pattern:
        return text
    if len(text) * (len(substitution) + 1) > 10 * LONGEST_TEXT:
        raise ValueError(f"a text is longer than {LONGEST_TEXT} characters")
    return bounded(substitute(pattern, text, substitution))


def _encode(text: str, form: str) -> str:
    data = text.encode()
    match form:
        case "hex":
            return data.hex()
        case "base64":
            return base64.b64encode(data).decode()
        case "urlbase64":
            return base64.urlsafe_b64encode(data).decode()
    raise ValueError(f"'{form}' is not hex, base64 or urlbase64")


def _decode(text: str, form: str) -> str | None:
    try:
        match form:
            case "hex":
                return bytes.fromhex(text).decode()
            case "base64":
                return base64.b64decode(text, validate=True).decode()
            case "urlbase64":
                return base64.b64decode(text, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    raise ValueError(f"'{form}' is not hex, base64 or urlbase64")


def _escape(text: str, target: str) -> str:
    match target:
        case "html":
            return html.escape(text)
        case "json":
            return json.dumps(text, ensure_ascii=False)[1:-1]
    raise ValueError(f"'{target}' is not html or json")


def _unescape(text: str, target: str) -> str | None:
    match target:
        case "html":
            return html.unescape(text)
        case "json":
            try:
                return str(json.loads(f'"{text}"', strict=False))
            except ValueError:
                return text if "\\" not in text else None
    raise ValueError(f"'{target}' is not html or json")


def _to_chars(call: Invocation) -> Selection:
    text = call.text(call.source)

    def characters(item: Any, env: Environment) -> list[Any]:
        value = text(item, env) or ""
        env.spend(len(value))
        return list(value)

    return several(frozenset({nodes.STRING}), characters)


def _split(call: Invocation) -> Selection:
    text, separator = call.text(call.source), call.text(call.argument(0))

    def split(item: Any, env: Environment) -> list[Any]:
        value, by = text(item, env), separator(item, env)
        if value is None or by is None:
            return []
        parts = list(value) if by == "" else value.split(by)
        env.spend(len(parts))
        return parts

    return several(frozenset({nodes.STRING}), split)


def _join(call: Invocation) -> Selection:
    items = selection.values(call.source, call.system).many
    separator = call.text(call.argument(0)) if call.arguments else None

    def join(item: Any, env: Environment) -> Any:
        found = items(item, env)
        if not found:
            return None
        for value in found:
            if value.__class__ is not str:
                raise call.error(f"join(): Strings were expected, not {nodes.described(value)}")
        by = "" if separator is None else separator(item, env) or ""
        if sum(map(len, found)) + len(by) * len(found) > LONGEST_TEXT:
            raise call.error(f"join(): a text is longer than {LONGEST_TEXT} characters")
        return by.join(found)

    return computed(nodes.STRING, join)


_B, _I, _S = nodes.BOOLEAN, nodes.INTEGER, nodes.STRING

FUNCTIONS = {
    "indexOf": Function(_of_text(_I, lambda text, part: text.find(part), _S), 1, 1),
    "lastIndexOf": Function(_of_text(_I, lambda text, part: text.rfind(part), _S), 1, 1),
    "substring": Function(_of_text(_S, _substring, _I, _I), 1, 2),
    "startsWith": Function(_of_text(_B, lambda text, part: text.startswith(part), _S), 1, 1),
    "endsWith": Function(_of_text(_B, lambda text, part: text.endswith(part), _S), 1, 1),
    "contains": Function(_of_text(_B, lambda text, part: part in text, _S), 1, 1),
    "upper": Function(_of_text(_S, lambda text: text.upper())),
    "lower": Function(_of_text(_S, lambda text: text.lower())),
    "replace": Function(_of_text(_S, _replace, _S, _S), 2, 2),
    "matches": Function(_of_text(_B, _matches, _S), 1, 1),
    "matchesFull": Function(_of_text(_B, _matches_full, _S), 1, 1),
    "replaceMatches": Function(_of_text(_S, _replace_matches, _S, _S), 2, 2),
    "length": Function(_of_text(_I, len)),
    "trim": Function(_of_text(_S, lambda text: text.strip())),
    "encode": Function(_of_text(_S, _encode, _S), 1, 1),
    "decode": Function(_of_text(_S, _decode, _S), 1, 1),
    "escape": Function(_of_text(_S, _escape, _S), 1, 1),
    "unescape": Function(_of_text(_S, _unescape, _S), 1, 1),
    "toChars": Function(_to_chars),
    "split": Function(_split, 1, 1),
    "join": Function(_join, 0, 1),
}
