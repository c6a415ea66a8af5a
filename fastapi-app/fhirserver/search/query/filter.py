"""`_filter`: conditions joined by `and` and `or`, negated, in parentheses, along references.

https://hl7.org/fhir/R4/search_filter.html

    filter    = alternative *("or" alternative)
    alternative = part *("and" part)
    part      = "not" "(" filter ")" | "(" filter ")" | path operator value
    path      = name *(["[" filter "]"] "." name)
    value     = JSON string, or what has no white space, ")" or "]" in it
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.search.query.tree import Node, Not, conjunction, disjunction

_NAME = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_\-]*)")
_OPERATOR = re.compile(r"\s+(eq|ne|co|sw|ew|gt|lt|ge|le|ap|sa|eb|pr|po|ss|sb|in|ni|re)(?=\s)")
_STRING = re.compile(r'\s*("(?:[^"\\]|\\.)*")', re.DOTALL)
_VALUE = re.compile(r"\s*([^\s)\]\"]+)")
_WORD = re.compile(r"\s*(and|or|not)\b")
_DEEPEST = 30
_MOST = 500


@dataclass(frozen=True, slots=True)
class Reader:
    """How a filter reads what it is made of: `compare` a parameter, an operator and a value; `link` a reference
    parameter, the conditions on what it leads to, given as a function of its type and how to read it."""

    compare: Callable[[str, str, str, str], Node]
    link: Callable[[str, str, Callable[[str, "Reader"], Node]], Node]


def read_filter(text: str, resource_type: str, reader: Reader) -> Node:
    """The tree of a filter on a type. Raises InvalidRequest with the position of what is wrong."""
    condition = _Parser(text).whole()
    return condition(resource_type, reader)


_Condition = Callable[[str, Reader], Node]
"""A filter that is parsed: its tree for a type. What a path means depends on where it starts."""


class _Parser:
    def __init__(self, text: str):
        self._text = text
        self._at = 0
        self._conditions = 0

    def whole(self) -> _Condition:
        found = self._filter(0)
        if self._text[self._at :].strip():
            raise self._wrong("'and', 'or', or the end")
        return found

    def _filter(self, depth: int) -> _Condition:
        if depth > _DEEPEST:
            raise InvalidRequest("_filter is nested too deeply", code="too-costly", expression="_filter")
        alternatives = [self._all_of(depth)]
        while self._word("or"):
            alternatives.append(self._all_of(depth))
        if len(alternatives) == 1:
            return alternatives[0]
        return lambda type_, reader: disjunction(part(type_, reader) for part in alternatives)

    def _all_of(self, depth: int) -> _Condition:
        parts = [self._part(depth)]
        while self._word("and"):
            parts.append(self._part(depth))
        if len(parts) == 1:
            return parts[0]
        return lambda type_, reader: conjunction(part(type_, reader) for part in parts)

    def _part(self, depth: int) -> _Condition:
        if self._word("not"):
            if not self._sign("("):
                raise self._wrong("'(' after 'not'")
            inner = self._parenthesis(depth)
            return lambda type_, reader: Not(inner(type_, reader))
        if self._sign("("):
            return self._parenthesis(depth)
        return self._path(depth)

    def _parenthesis(self, depth: int) -> _Condition:
        inner = self._filter(depth + 1)
        if not self._sign(")"):
            raise self._wrong("')'")
        return inner

    def _path(self, depth: int) -> _Condition:
        self._conditions += 1
        if depth > _DEEPEST or self._conditions > _MOST:
            raise InvalidRequest("_filter has too many conditions", code="too-costly", expression="_filter")
        name = self._match(_NAME, "the name of a search parameter")
        condition: _Condition | None = None
        if self._sign("["):
            condition = self._filter(depth + 1)
            if not self._sign("]"):
                raise self._wrong("']'")
        if condition is not None and not self._text.startswith(".", self._at):
            raise self._wrong("'.' after ']'")
        if self._text.startswith(".", self._at):
            self._at += 1
            return _linked(name, condition, self._path(depth + 1))
        operator = self._match(_OPERATOR, "an operator")
        value = self._value()
        return lambda type_, reader: reader.compare(name, operator, value, type_)

    def _value(self) -> str:
        quoted = _STRING.match(self._text, self._at)
        if quoted is None:
            return self._match(_VALUE, "a value")
        self._at = quoted.end()
        try:
            return str(json.loads(quoted[1]))
        except ValueError:
            raise self._wrong("a string as in JSON") from None

    def _match(self, pattern: re.Pattern[str], expected: str) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise self._wrong(expected)
        self._at = found.end()
        return found[1]

    def _word(self, word: str) -> bool:
        found = _WORD.match(self._text, self._at)
        if found is None or found[1] != word:
            return False
        self._at = found.end()
        return True

    def _sign(self, sign: str) -> bool:
        rest = self._text[self._at :].lstrip()
        if not rest.startswith(sign):
            return False
        self._at = len(self._text) - len(rest) + 1
        return True

    def _wrong(self, expected: str) -> InvalidRequest:
        found = self._text[self._at : self._at + 20].strip() or "the end"
        return InvalidRequest(
            f"_filter, character {self._at + 1}: {expected} is expected, not {found!r}",
            code="value",
            expression="_filter",
        )


def _linked(name: str, condition: _Condition | None, rest: _Condition) -> _Condition:
    def of_target(target: str, reader: Reader) -> Node:
        if condition is None:
            return rest(target, reader)
        return conjunction((condition(target, reader), rest(target, reader)))

    return lambda type_, reader: reader.link(name, type_, of_target)
