"""The words of a resource, and queries for words: `_text`, `_content` and `:text`.

https://hl7.org/fhir/R4/search.html#text. A word is a run of letters and digits, without case and accents. Nothing is
stemmed: what is stored is in many languages.
"""

import re
from collections.abc import Iterator, Mapping
from html import unescape
from typing import Any, Literal

from fhirserver.fhir.datatypes.text import words_of
from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.outcomes import InvalidRequest

_MARKUP = re.compile(r"<[^<>]*>|[<>]")
_QUERY = re.compile(r'\s*(?:(?P<sign>[()|,&-])|"(?P<phrase>[^"]*)"?|(?P<word>[^\s()|,&"]+))')
_TEXTS = frozenset({"string", "markdown"})
_MOST = 20_000
_DEEPEST = 40

Kind = Literal["text", "narrative", "complex", "resource"]


class WordCollector:
    """Collects the words of resources, led by the definitions of their types."""

    def __init__(self, definitions: Definitions):
        self._definitions = definitions
        self._plans: dict[str, Mapping[str, tuple[Kind, str]]] = {}

    def collect(self, resource: dict[str, Any], resource_type: str) -> tuple[list[str], list[str]]:
        """The words of the narrative, and those of all other texts (not those of codes, ids, addresses and dates)."""
        found: tuple[list[str], list[str]] = ([], [])
        self._object(resource, resource_type, found)
        return found[0][:_MOST], found[1][:_MOST]

    def _object(self, value: dict[str, Any], type_name: str, found: tuple[list[str], list[str]]) -> None:
        plan = self._plans.get(type_name) or self._plan(type_name)
        for name, item in value.items():
            how = plan.get(name)
            if how is None:
                continue
            if type(item) is str and how[0] == "text":
                found[1].extend(words_of(item))
                continue
            for one in item if type(item) is list else (item,):
                self._value(one, how[0], how[1], found)

    def _value(self, value: Any, kind: Kind, type_name: str, found: tuple[list[str], list[str]]) -> None:
        if type(value) is str:
            if kind == "text":
                found[1].extend(words_of(value))
            elif kind == "narrative":
                found[0].extend(words_of(unescape(_MARKUP.sub(" ", value))))
        elif type(value) is dict:
            if kind == "complex":
                self._object(value, type_name, found)
            elif kind == "resource" and self._definitions.is_resource_type(str(value.get("resourceType"))):
                self._object(value, value["resourceType"], found)

    def _plan(self, type_name: str) -> Mapping[str, tuple[Kind, str]]:
        plan: dict[str, tuple[Kind, str]] = {}
        for name, known in self._definitions.type(type_name).properties.items():
            code = known.type_code
            if code in _TEXTS:
                plan[name] = ("text", code)
            elif code == "xhtml":
                plan[name] = ("narrative", code)
            elif code == "Resource":
                plan[name] = ("resource", code)
            elif self._definitions.type(code).kind != "primitive-type":
                plan[name] = ("complex", code)
        self._plans[type_name] = plan
        return plan


def word_query(text: str, name: str, *, narrative: bool) -> str:
    """A query of words in the syntax of PostgreSQL's tsquery.

    Words side by side have to be there all; `and`, `or`, `not`, `&`, `|`, `-` and parentheses combine them, quotes
    keep a phrase together, `*` at the end of a word stands for any end. `narrative`: only words of the narrative
    count. Raises InvalidRequest, naming the parameter.
    """
    parser = _Parser(text, name, "A" if narrative else "")
    query = parser.any_of(0)
    if parser.token is not None:
        raise parser.wrong()
    return query


class _Parser:
    def __init__(self, text: str, name: str, weight: str):
        self._name = name
        self._text = text
        self._weight = weight
        self._tokens = self._read()
        self.token = next(self._tokens, None)

    def wrong(self) -> InvalidRequest:
        return InvalidRequest(
            f"{self._name}: {self._text[:100]!r} is not a query of words, with and, or, not, quotes and parentheses",
            code="value",
            expression=self._name.partition(":")[0],
        )

    def any_of(self, depth: int) -> str:
        if depth > _DEEPEST:
            raise self.wrong()
        parts = [self._all_of(depth)]
        while self._take("|"):
            parts.append(self._all_of(depth))
        return parts[0] if len(parts) == 1 else f"({' | '.join(parts)})"

    def _all_of(self, depth: int) -> str:
        parts = [self._one(depth)]
        while self.token is not None and self.token[0] not in "|)":
            self._take("&")
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else f"({' & '.join(parts)})"

    def _one(self, depth: int) -> str:
        if self._take("!"):
            return f"!{self._one(depth + 1)}" if depth < _DEEPEST else self._fail()
        if self._take("("):
            inner = self.any_of(depth + 1)
            if not self._take(")"):
                raise self.wrong()
            return f"({inner})"
        if self.token is None or self.token[0] != "w":
            raise self.wrong()
        text = self.token[1]
        self.token = next(self._tokens, None)
        words = words_of(text)
        if not words:
            raise self.wrong()
        ends = [""] * (len(words) - 1) + ["*" if text.endswith("*") else ""]
        lexemes = [lexeme(word, end + self._weight) for word, end in zip(words, ends, strict=True)]
        return lexemes[0] if len(lexemes) == 1 else f"({' <-> '.join(lexemes)})"

    def _fail(self) -> str:
        raise self.wrong()

    def _take(self, sign: str) -> bool:
        if self.token is None or self.token[0] != sign:
            return False
        self.token = next(self._tokens, None)
        return True

    def _read(self) -> Iterator[tuple[str, str]]:
        for match in _QUERY.finditer(self._text):
            if match["phrase"] is not None:
                yield "w", match["phrase"]
            elif match["sign"] is not None:
                yield {",": "|", "-": "!"}.get(match["sign"], match["sign"]), ""
            else:
                word = match["word"]
                operator = {"and": "&", "or": "|", "not": "!"}.get(word.lower())
                yield (operator, "") if operator else ("w", word)


def lexeme(word: str, labels: str = "") -> str:
    """A word as an operand of a tsquery; `*` among the labels stands for any end, A for the narrative."""
    return f"'{word}'" + (f":{labels}" if labels else "")
