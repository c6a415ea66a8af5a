"""Selection of concepts → a condition on one row of `concept`; and the keys, of which a row has one for each
concept that subsumes it and for each value of its properties.
"""

from collections.abc import Iterable
from typing import Any

from xxhash import xxh3_64_intdigest

from fhirserver.fhir.outcomes import Unprocessable
from fhirserver.fhir.terminology.selection import (
    Above,
    And,
    Codes,
    Everything,
    IsA,
    Not,
    Or,
    Pattern,
    Property,
    Selection,
)
from fhirserver.search.keys import signed
from fhirserver.storage.compile.sql import Arguments

_MOST_WORDS = 20
_COLUMNS = {"concept": "code", "code": "code", "display": "display"}


def is_a_key(system: int, code: str) -> int:
    """Of all that a concept subsumes, itself included."""
    return _key(system, "is-a", code)


def property_key(system: int, name: str, value: str | None = None) -> int:
    """Of all that have this value of a property, or any value."""
    return _key(system, "has", name) if value is None else _key(system, "is", name, value)


def _key(system: int, *parts: str) -> int:
    return signed(xxh3_64_intdigest("\x1f".join((str(system), *parts)).encode()))


def text_query(words: Iterable[str]) -> str:
    """The tsquery for rows that have a word beginning with each of these, which are letters and digits only."""
    return " & ".join(f"'{word}':*" for word in list(words)[:_MOST_WORDS])


def storable(texts: Iterable[str]) -> list[str]:
    """Those texts that PostgreSQL can have: none with a zero byte, which nothing stored has."""
    return [text for text in texts if "\0" not in text]


def condition(selection: Selection, system: int, arguments: Arguments) -> str:
    """The condition that a concept of this code system has to satisfy to be selected."""

    def key(value: int) -> str:
        return arguments.add([value], "bigint[]")

    match selection:
        case Everything():
            return "TRUE"
        case Codes(listed):
            return f"code = ANY({arguments.add(storable(listed), 'text[]')})"
        case IsA(code, proper):
            below = f"keys @> {key(is_a_key(system, code))}"
            return f"({below} AND code <> {_text(code, arguments)})" if proper else below
        case Above(code, direct):
            source = f"FROM concept WHERE code_system = {arguments.add(system, 'bigint')}"
            source += f" AND code = {_text(code, arguments)}"
            if direct:
                return f"code = ANY(SELECT json_array_elements_text(detail->'parents') {source})"
            return f"self_key = ANY(SELECT unnest(keys) {source})"
        case Property(name, values):
            if values is not None and name in _COLUMNS:
                return f"{_COLUMNS[name]} = ANY({arguments.add(storable(values), 'text[]')})"
            if values is None:
                return (
                    f"{_COLUMNS[name]} IS NOT NULL"
                    if name in _COLUMNS
                    else f"keys @> {key(property_key(system, name))}"
                )
            return f"keys && {arguments.add([property_key(system, name, value) for value in values], 'bigint[]')}"
        case Pattern(name, regex):
            if name not in _COLUMNS:
                raise Unprocessable(
                    f"in a loaded code system, regular expressions go with codes and displays, not '{name[:80]}'",
                    code="not-supported",
                )
            return f"{_COLUMNS[name]} ~ {_text(f'^(?:{regex})$', arguments)}"
        case And(parts):
            return _joined(" AND ", parts, system, arguments, "TRUE")
        case Or(parts):
            return _joined(" OR ", parts, system, arguments, "FALSE")
        case Not(part):
            return f"NOT ({condition(part, system, arguments)})"


def _joined(operator: str, parts: Iterable[Selection], system: int, arguments: Arguments, empty: str) -> str:
    conditions = [condition(part, system, arguments) for part in parts]
    return f"({operator.join(conditions)})" if conditions else empty


def _text(value: Any, arguments: Arguments) -> str:
    return arguments.add("\x7f" if "\0" in value else value, "text")
