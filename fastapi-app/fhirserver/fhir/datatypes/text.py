"""Texts as they are compared when case, accents and white space don't matter."""

import re
import unicodedata
from functools import lru_cache

_WORD = re.compile(r"[^\W_]+")
_LONGEST_WORD = 200


@lru_cache(maxsize=20_000)
def normalised(text: str) -> str:
    """The text without case, accents and superfluous white space; strings that differ in these are the same."""
    if text.isascii():
        return " ".join(text.lower().split())
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in decomposed if not unicodedata.combining(c)).casefold().split())


@lru_cache(maxsize=20_000)
def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, normalised, in order: runs of letters and digits; of very long ones the beginning."""
    return tuple(word[:_LONGEST_WORD] for word in _WORD.findall(normalised(text)))
