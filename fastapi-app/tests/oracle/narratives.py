"""Words of narratives. https://hl7.org/fhir/R4/search.html#text"""

import re
from html import unescape

from .texts import words
from .world import Resource


def narrative_words(resource: Resource) -> list[str]:
    """The words of the narrative, without its markup."""
    return words(unescape(re.sub(r"<[^>]*>", " ", resource.get("text", {}).get("div", ""))))


def text_holds(query: str, found: list[str]) -> bool:
    """`a and (b or not c)`, `"a phrase"`, `begin*`: of words side by side each has to be there; `or` binds less."""
    tokens = re.findall(r'[()]|"[^"]*"|[^\s()"]+', query)
    value = _any_of(tokens, found)
    assert not tokens, query
    return value


def _any_of(tokens: list[str], found: list[str]) -> bool:
    value = _all_of(tokens, found)
    while tokens and tokens[0].lower() == "or":
        tokens.pop(0)
        value = _all_of(tokens, found) or value
    return value


def _all_of(tokens: list[str], found: list[str]) -> bool:
    value = _one(tokens, found)
    while tokens and tokens[0].lower() not in ("or", ")"):
        if tokens[0].lower() == "and":
            tokens.pop(0)
        value = _one(tokens, found) and value
    return value


def _one(tokens: list[str], found: list[str]) -> bool:
    token = tokens.pop(0)
    if token.lower() == "not":
        return not _one(tokens, found)
    if token == "(":
        value = _any_of(tokens, found)
        assert tokens.pop(0) == ")"
        return value
    wanted = words(token)
    places = [found[start : start + len(wanted)] for start in range(len(found))]
    if token.endswith("*"):
        return any(
            place[:-1] == wanted[:-1] and place[-1].startswith(wanted[-1])
            for place in places
            if len(place) == len(wanted)
        )
    return wanted in places
