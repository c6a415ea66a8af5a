"""The tree of a FHIRPath expression. Frozen values; `place`, where in the text it stands, is no part of them."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: string, number, boolean, date or time as written (`kind`), quantity; None stands for `{}`."""

    kind: str
    value: str | bool | None
    unit: str | None = None
    place: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Variable:
    """`%name`, or `$this`, `$index`, `$total`."""

    name: str
    place: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Member:
    """An identifier, on `source` or on the focus."""

    source: "Expression | None"
    name: str
    place: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function, on `source` or on the focus."""

    source: "Expression | None"
    name: str
    arguments: tuple["Expression", ...]
    place: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Index:
    """`source[position]`."""

    source: "Expression"
    position: "Expression"
    place: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Unary:
    """`+` or `-` before an operand."""

    operator: str
    operand: "Expression"
    place: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands with an operator between; for `is` and `as` the right one is a `Member` chain naming a type."""

    operator: str
    left: "Expression"
    right: "Expression"
    place: int = field(default=0, compare=False)


Expression = Literal | Variable | Member | Call | Index | Unary | Binary
