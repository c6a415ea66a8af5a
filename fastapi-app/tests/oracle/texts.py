"""Text of queries, strings and tokens. https://hl7.org/fhir/R4/search.html#escaping, #string and #token"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

# What stands for an escaped character while a value is taken apart.
_ESCAPES = {"\\\\": "\ue000", "\\,": "\ue001", "\\|": "\ue002", "\\$": "\ue003"}


def split(text: str, separator: str) -> list[str]:
    """The parts between separators that aren't escaped."""
    for escape, character in _ESCAPES.items():
        text = text.replace(escape, character)
    parts = text.split(separator)
    for escape, character in _ESCAPES.items():
        parts = [part.replace(character, escape) for part in parts]
    return parts


def plain(text: str) -> str:
    """A value without escapes."""
    for escape, character in _ESCAPES.items():
        text = text.replace(escape, character)
    for escape, character in _ESCAPES.items():
        text = text.replace(character, escape[1])
    return text


def escaped(text: str) -> str:
    """A text as a value of a query has it."""
    for escape in _ESCAPES:
        text = text.replace(escape[1], escape)
    return text


def normal(text: str) -> str:
    """Without case, accents and superfluous blanks."""
    letters = unicodedata.normalize("NFD", text.casefold())
    return " ".join("".join(letter for letter in letters if unicodedata.category(letter) != "Mn").split())


def words(text: str) -> list[str]:
    """The runs of letters and digits."""
    return re.findall(r"[^\W_]+", normal(text))


def strings(value: Any) -> Iterator[str]:
    """All texts that a string parameter sees in a value: itself, or the parts of a name or an address."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, dict):
        for name in ("text", "family", "given", "prefix", "suffix"):
            yield from strings(value.get(name))
        for name in ("line", "city", "district", "state", "postalCode", "country"):
            yield from strings(value.get(name))


def string_matches(value: Any, modifier: str, asked: str) -> bool:
    """R4: starts with, after both were normalised by case and accent; `exact`: is; `contains`: has it anywhere."""
    wanted = plain(asked)
    for text in strings(value):
        if modifier == "exact" and text == wanted:
            return True
        if modifier in ("contains", "text") and normal(wanted) in normal(text):
            return True
        if modifier == "" and normal(text).startswith(normal(wanted)):
            return True
    return False


Token = tuple[str | None, str | None]


def tokens(value: Any, systems: Mapping[str, str]) -> Iterator[Token]:
    """The (system, code) of a value of a token parameter. `systems` are those that a code implies."""
    if isinstance(value, bool):
        yield None, "true" if value else "false"
    elif isinstance(value, str):
        yield systems.get(value), value
    elif isinstance(value, dict):
        if "coding" in value or not value.keys() - {"text", "id", "extension"}:
            for coding in value.get("coding", []):
                yield coding.get("system"), coding.get("code")
        elif value.get("system") in _CONTACTS and "value" in value:
            yield None, value["value"]
        elif "code" in value or "display" in value:
            yield value.get("system"), value.get("code")
        else:
            yield value.get("system"), value.get("value")


_CONTACTS = frozenset({"phone", "fax", "email", "pager", "url", "sms", "other"})


def token_matches(found: Iterable[Token], asked: str) -> bool:
    """`code`, `system|code`, `|code` (without a system) or `system|`; codes without case."""
    system, *code = map(plain, split(asked, "|"))
    for has_system, has_code in found:
        if not code:
            matches = same(has_code, system)
        elif code[0] == "":
            matches = has_system == system
        else:
            matches = (has_system or "") == system and same(has_code, code[0])
        if matches:
            return True
    return False


def same(found: str | None, asked: str) -> bool:
    """Whether codes are the same but for case."""
    return found is not None and found.casefold() == asked.casefold()


def said(value: Any) -> Iterator[str]:
    """The texts that go with a token: of the concept, of its codings, of an identifier's type."""
    if isinstance(value, dict):
        yield from strings([value.get("text"), value.get("display"), value.get("type", {}).get("text")])
        for coding in value.get("coding", []):
            yield from strings(coding.get("display"))


def text_matches(value: Any, asked: str) -> bool:
    """The words asked for are there side by side; the last one may go on."""
    wanted = " " + " ".join(words(plain(asked)))
    return any(wanted in " " + " ".join(words(text)) for text in said(value))


def is_of_type(value: Any, asked: str) -> bool:
    """`system|code|value` of an identifier and its type."""
    system, code, number = map(plain, split(asked, "|"))
    return (
        isinstance(value, dict)
        and same(value.get("value"), number)
        and any(
            coding.get("system") == system and same(coding.get("code"), code)
            for coding in value.get("type", {}).get("coding", [])
        )
    )
