"""The tree of a FHIRPath expression. Frozen values."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: string, number, boolean, date or time as written (`kind`), quantity; None stands for `{}`."""

    kind: str
    value: str | bool | None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Variable:
    """`%name`, or `$this`, `$index`, `$total`."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """An identifier, on `source` or on the focus."""

    source: "Expression | None"
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function, on `source` or on the focus."""

    source: "Expression | None"
    name: str
    arguments: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Index:
    """`source[position]`."""

    source: "Expression"
    position: "Expression"


@dataclass(frozen=True, slots=True)
class Unary:
    """`+` or `-` before an operand."""

    operator: str
    operand: "Expression"


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands with an operator between; for `is` and `as` the right one is a `Member` chain naming a type."""

    operator: str
    left: "Expression"
    right: "Expression"


Expression = Literal | Variable | Member | Call | Index | Unary | Binary
