"""Code systems without a list of codes: a code is one by its form.

https://hl7.org/fhir/R4/terminologies-systems.html
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from fhirserver.fhir.datatypes import ucum
from fhirserver.fhir.terminology.concepts import Concept, Json

_LONGEST = 1000

# https://www.rfc-editor.org/rfc/rfc5646#section-2.1, and the properties that R4's value sets filter by
_LANGUAGE_TAG = re.compile(
    r"""(?P<language>[a-z]{2,3}|[a-z]{4}|[a-z]{5,8})
    (?P<extlang>(?:-[a-z]{3}){1,3}(?![a-z0-9]))?
    (?:-(?P<script>[a-z]{4})(?![a-z0-9]))?
    (?:-(?P<region>[a-z]{2}|[0-9]{3})(?![a-z0-9]))?
    (?P<variant>(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3})(?![a-z0-9]))+)?
    (?P<extension>(?:-[0-9a-wy-z](?:-[a-z0-9]{2,8})+)+)?
    (?P<private>-x(?:-[a-z0-9]{1,8})+)?
    | (?P<only_private>x(?:-[a-z0-9]{1,8})+)""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
).fullmatch
_TAG_PROPERTIES = {
    "language": "language",
    "extlang": "ext-lang",
    "script": "script",
    "region": "region",
    "variant": "variant",
    "extension": "extension",
    "private": "private-use",
    "only_private": "private-use",
}
# https://www.rfc-editor.org/rfc/rfc6838#section-4.2, with parameters as in RFC 9110
_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_MEDIA_TYPE = re.compile(rf'{_NAME}/{_NAME}(?:[ \t]*;[ \t]*{_WORD}=(?:{_WORD}|"[^"\\\r\n]*"))*').fullmatch
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`]*").fullmatch


@dataclass(frozen=True, slots=True)
class Grammar:
    """A code system of which `read` makes a concept of a code, or None if it is not of its form."""

    url: str
    name: str
    read: Callable[[str], Concept | None]
    version: str | None = None

    @property
    def header(self) -> Json:
        """As little as there is to say of it."""
        return {"url": self.url, "name": self.name, "content": "not-present"}

    @property
    def is_complete(self) -> bool:
        """What is not of the form does not exist."""
        return True

    def concept(self, code: str) -> Concept | None:
        """The concept with this code."""
        return self.read(code) if len(code) <= _LONGEST else None

    def concepts(self) -> None:
        """There is no end of them."""
        return

    def children(self, code: str) -> tuple[str, ...]:
        """There is no hierarchy."""
        return ()

    def below(self, code: str) -> frozenset[str]:
        """No code is below another."""
        return frozenset()

    above = below


def _language(code: str) -> Concept | None:
    match = _LANGUAGE_TAG(code)
    if match is None:
        return None
    found = ((_TAG_PROPERTIES[name], text.strip("-")) for name, text in match.groupdict().items() if text)
    return Concept(code, properties=[{"code": name, "valueString": text} for name, text in found])


def _unit(code: str) -> Concept | None:
    """https://hl7.org/fhir/R4/ucum.html: its property `canonical` is the unit that it is a multiple of."""
    found = ucum.canonical(Decimal(1), code)
    if found is None:
        return None
    return Concept(code, properties=[{"code": "canonical", "valueString": found[1]}])


def _media_type(code: str) -> Concept | None:
    return Concept(code) if _MEDIA_TYPE(code) else None


def _uri(code: str) -> Concept | None:
    return Concept(code) if _URI(code) else None


GRAMMARS = {
    system.url: system
    for system in (
        Grammar(ucum.SYSTEM, "UCUM", _unit),
        Grammar("urn:ietf:bcp:47", "Language tags (BCP 47)", _language),
        Grammar("urn:ietf:bcp:13", "Media types (BCP 13)", _media_type),
        Grammar("urn:ietf:rfc:3986", "URIs (RFC 3986)", _uri),
    )
}
