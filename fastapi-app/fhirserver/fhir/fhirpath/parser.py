"""FHIRPath text → tree, by operator precedence.

https://hl7.org/fhirpath/N1/#grammar
"""

import re
from functools import lru_cache

from fhirserver.fhir.fhirpath.errors import FhirPathError, Place
from fhirserver.fhir.fhirpath.quantities import CALENDAR
from fhirserver.fhir.fhirpath.tree import Binary, Call, Expression, Index, Literal, Member, Unary, Variable

_TOKEN = re.compile(
    r"""\s+ | //[^\n]* | /\*.*?\*/
    | (?P<datetime>@\d{4}(?:-\d\d(?:-\d\d)?)?(?:T(?:\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:\d\d)?)?)?)
    | (?P<time>@T\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<string>'(?:\\(?:u[0-9A-Fa-f]{4}|[^u])|[^'\\])*')
    | (?P<variable>%(?:[A-Za-z_][A-Za-z0-9_]*
        | `(?:\\(?:u[0-9A-Fa-f]{4}|[^u])|[^`\\])*` | '(?:\\(?:u[0-9A-Fa-f]{4}|[^u])|[^'\\])*'))
    | (?P<special>\$(?:this|index|total))
    | (?P<name>[A-Za-z_][A-Za-z0-9_]* | `(?:\\(?:u[0-9A-Fa-f]{4}|[^u])|[^`\\])*`)
    | (?P<symbol><=|>=|!=|!~|[()\[\]{}.,|&=~<>+\-*/])
    """,
    re.VERBOSE | re.DOTALL,
)
_PRECEDENCE = (
    ("implies",),
    ("or", "xor"),
    ("and",),
    ("in", "contains"),
    ("=", "~", "!=", "!~"),
    ("<=", "<", ">", ">="),
    ("|",),
    ("is", "as"),
    ("+", "-", "&"),
    ("*", "/", "div", "mod"),
)
_LEVEL = {operator: level for level, operators in enumerate(_PRECEDENCE) for operator in operators}
_UNARY_LEVEL = len(_PRECEDENCE)
_KEYWORDS = frozenset({"and", "div", "implies", "mod", "or", "xor"})
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}
_MAX_DEPTH = 200
_LONGEST, _LONGEST_KEPT = 20_000, 2_000


def parse(text: str) -> Expression:
    """The tree of an expression. Raises FhirPathError."""
    if len(text) > _LONGEST:
        raise FhirPathError(f"the expression is longer than {_LONGEST} characters")
    return _parse(text) if len(text) <= _LONGEST_KEPT else _Parser(text).whole()


@lru_cache(maxsize=4096)
def _parse(text: str) -> Expression:
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str):
        self._text = text
        self._tokens = _tokens(text)
        self._next = 0
        self._depth = 0

    def whole(self) -> Expression:
        expression = self._expression(0)
        if self._kind() != "end":
            raise self._unexpected()
        return expression

    def _kind(self) -> str:
        return self._tokens[self._next][0]

    def _value(self) -> str:
        return self._tokens[self._next][1]

    def _take(self) -> str:
        self._next += 1
        return self._tokens[self._next - 1][1]

    def _is(self, symbol: str) -> bool:
        return self._kind() == "symbol" and self._value() == symbol

    def _expect(self, symbol: str) -> None:
        if not self._is(symbol):
            raise self._unexpected(f", '{symbol}' was expected")
        self._next += 1

    def _place(self) -> int:
        return self._tokens[self._next][2]

    def _unexpected(self, more: str = "") -> FhirPathError:
        kind, value, place = self._tokens[self._next]
        what = "the end" if kind == "end" else f"'{value}'"
        return FhirPathError(f"unexpected: {what}{more}", Place(self._text, place))

    def _operator(self) -> str | None:
        kind, value, _ = self._tokens[self._next]
        return value if kind in ("symbol", "name") and value in _LEVEL else None

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise FhirPathError(
                f"the expression is nested more than {_MAX_DEPTH} deep", Place(self._text, self._place())
            )

    def _expression(self, level: int) -> Expression:
        before = self._depth
        self._deeper()
        place = self._place()
        if self._is("+") or self._is("-"):
            left: Expression = Unary(self._take(), self._expression(_UNARY_LEVEL), place)
        else:
            left = self._term()
        while (operator := self._operator()) is not None and _LEVEL[operator] >= level:
            # Each operator nests what is left of it one level deeper.
            self._deeper()
            place = self._place()
            self._next += 1
            left = Binary(operator, left, self._expression(_LEVEL[operator] + 1), place)
        self._depth = before
        return left

    def _term(self) -> Expression:
        before = self._depth
        if self._kind() == "name":
            if self._value() in _KEYWORDS:
                raise self._unexpected()
            term = self._invocation(None)
        else:
            term = self._primary()
        while True:
            place = self._place()
            if self._is("."):
                self._next += 1
                if self._kind() == "special":
                    raise self._unexpected()
                term = self._invocation(term)
            elif self._is("["):
                self._next += 1
                term = Index(term, self._expression(0), place)
                self._expect("]")
            else:
                self._depth = before
                return term
            self._deeper()

    def _invocation(self, source: Expression | None) -> Expression:
        if self._kind() != "name":
            raise self._unexpected(", a name was expected")
        place = self._place()
        name = _unquoted(self._take())
        if not self._is("("):
            if source is None and name in ("true", "false"):
                return Literal("boolean", name == "true", place=place)
            return Member(source, name, place)
        self._next += 1
        arguments: list[Expression] = []
        while not self._is(")"):
            if arguments:
                self._expect(",")
            arguments.append(self._expression(0))
        self._next += 1
        return Call(source, name, tuple(arguments), place)

    def _primary(self) -> Expression:
        kind, place = self._kind(), self._place()
        if kind in ("special", "variable"):
            value = self._take()
            return Variable(value if kind == "special" else f"%{_unquoted(value[1:])}", place)
        if kind == "string":
            return Literal("string", _unquoted(self._take()), place=place)
        if kind == "number":
            return self._number(place)
        if kind in ("datetime", "time"):
            value = self._take()[1:]
            form = "time" if kind == "time" else "dateTime" if "T" in value else "date"
            return Literal(form, value, place=place)
        if self._is("("):
            self._next += 1
            inner = self._expression(0)
            self._expect(")")
            return inner
        if self._is("{"):
            self._next += 1
            self._expect("}")
            return Literal("empty", None, place=place)
        raise self._unexpected()

    def _number(self, place: int) -> Expression:
        value = self._take()
        if self._kind() == "string":
            return Literal("quantity", value, _unquoted(self._take()), place)
        if self._kind() == "name" and self._value() in CALENDAR:
            return Literal("quantity", value, self._take(), place)
        return Literal("number", value, place=place)


def _tokens(text: str) -> list[tuple[str, str, int]]:
    tokens = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise FhirPathError(f"unexpected: '{text[place]}'", Place(text, place))
        if match.lastgroup is not None:
            tokens.append((match.lastgroup, match.group(), place))
        place = match.end()
    tokens.append(("end", "", len(text)))
    return tokens


def _unquoted(text: str) -> str:
    if text[:1] not in ("'", "`"):
        return text

    def replace(match: "re.Match[str]") -> str:
        if match[1].startswith("u"):
            return chr(int(match[1][1:], 16))
        return _ESCAPES.get(match[1], match[1])

    return re.sub(r"\\(u[0-9A-Fa-f]{4}|.)", replace, text[1:-1], flags=re.DOTALL)
