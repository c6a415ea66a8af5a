"""One clause of a query as the parameter types see it, and the text of query values.

https://hl7.org/fhir/R4/search.html#escaping
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.definitions.search_parameters import SearchParameter
from fhirserver.fhir.fhirpath.paths import Branch
from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.search.entry import EntryBuilder
from fhirserver.search.keys import ParameterKeys

MAX_VALUES = 2000

Index = Callable[[Any, EntryBuilder], None]

_ESCAPED = re.compile(r"\\([,|$\\])")
_PREFIXED = re.compile(r"(eq|ne|gt|lt|ge|le|sa|eb|ap)?(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Source:
    """Values to be indexed: of one branch of a parameter's expression."""

    parameter: SearchParameter
    branch: Branch
    keys: ParameterKeys
    definitions: Definitions
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class Clause:
    """`name:modifier=value,value`; the values are still escaped."""

    parameter: SearchParameter
    modifier: str | None
    values: tuple[str, ...]
    keys: ParameterKeys
    definitions: Definitions
    zone: tzinfo
    base_url: str
    now: datetime

    @property
    def name(self) -> str:
        """The parameter as the client wrote it."""
        return self.parameter.code + (f":{self.modifier}" if self.modifier else "")

    def label(self, value: str) -> str:
        """The clause with one of its values."""
        return f"{self.name}={value}"

    def wrong(self, value: str, expected: str) -> InvalidRequest:
        """The error for a value that is not what the parameter takes."""
        return InvalidRequest(
            f"{self.name}: {value[:100]!r} is not {expected}", expression=self.parameter.code, code="value"
        )


def split(text: str, separator: str) -> list[str]:
    """The parts between separators that are not escaped; the parts keep their escapes."""
    if "\\" not in text:
        return text.split(separator)
    parts, part, escaped = [], "", False
    for character in text:
        if escaped:
            part, escaped = part + "\\" + character, False
        elif character == "\\":
            escaped = True
        elif character == separator:
            parts.append(part)
            part = ""
        else:
            part += character
    parts.append(part + ("\\" if escaped else ""))
    return parts


def unescape(text: str) -> str:
    """A part of a value without its escapes."""
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def prefixed(text: str) -> tuple[str, str]:
    """The prefix (`eq` if there is none) and the rest of a value that compares."""
    match = _PREFIXED.fullmatch(text)
    return (match[1] or "eq", match[2]) if match else ("eq", text)
