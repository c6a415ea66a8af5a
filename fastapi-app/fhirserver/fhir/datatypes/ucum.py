"""Units of measure by UCUM's grammar: to base units and between commensurable units, with exact factors.

https://ucum.org/ucum (copyright Regenstrief Institute, Inc.)
"""

import re
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from fhirserver.fhir.datatypes.ucum_table import BASE_UNITS, Definition, definitions, prefixes

SYSTEM = "http://unitsofmeasure.org"

_LONGEST, _DEEPEST, _HIGHEST_EXPONENT = 255, 20, 99
_TOKEN = re.compile(
    r"""\{[\x20-\x7a|~]*\}
    | (?P<atom>10[*^] | (?: \[[^\[\]\s]+\] | [^\[\](){}./0-9+\-\s] )+) (?P<exponent>[+-]?[0-9]{1,2}(?![0-9]))?
    | (?P<factor>[0-9]{1,20}(?![0-9]))
    | (?P<symbol>[./()])
    """,
    re.VERBOSE,
).match
# Products are exact in practice; what is divided is rounded once, so equal quantities get equal numbers.
_EXACT, _ROUNDED = Context(prec=250, traps=[]), Context(prec=34, traps=[])


class _Unit(NamedTuple):
    """`base = (value * numerator + shift) / denominator`; the shift is 0 but for temperatures."""

    numerator: Decimal
    denominator: Decimal
    shift: Decimal
    base: str


class _Product(NamedTuple):
    factor: Fraction
    dimensions: dict[str, int]

    def times(self, other: "_Product", sign: int) -> "_Product":
        dimensions = dict(self.dimensions)
        for name, power in other.dimensions.items():
            dimensions[name] = dimensions.get(name, 0) + sign * power
        return _Product(self.factor * other.factor**sign, {name: power for name, power in dimensions.items() if power})


_ONE = _Product(Fraction(1), {})
# Temperatures: kelvin = value * scale + offset.
_OFFSETS = {
    "Cel": (Fraction(1), Fraction("273.15")),
    "[degF]": (Fraction(5, 9), Fraction("459.67") * 5 / 9),
    "[degRe]": (Fraction(5, 4), Fraction("273.15")),
}


def is_unit(code: str) -> bool:
    """Whether this is a valid UCUM unit (case sensitive form)."""
    return _unit(code) is not None


def canonical(value: Decimal, code: str) -> tuple[Decimal, str] | None:
    """The value in base units and these (`(Decimal('0.5'), 'g')` for 500 mg); None if the code is not UCUM's.

    Equal quantities have equal results, the text of the number included. Commensurable units have the same base;
    `1` is that of pure numbers, moles among them. Arbitrary units ([iU]) and those on other scales (pH, bel) are
    bases of their own. Temperatures are on the kelvin scale.
    """
    unit = _unit(code)
    if unit is None:
        return None
    number = _in_base(value, unit)
    return (number.normalize(_ROUNDED), unit.base) if number.is_finite() else None


def convert(value: Decimal, code: str, target: str) -> Decimal | None:
    """The value in another unit, rounded to 34 digits; None if one code is not UCUM's or they don't go together."""
    unit, other = _unit(code), _unit(target)
    if unit is None or other is None or unit.base != other.base:
        return None
    # base = (v * n1 + s1) / d1 = (w * n2 + s2) / d2
    scaled = _EXACT.multiply(_EXACT.add(_EXACT.multiply(value, unit.numerator), unit.shift), other.denominator)
    shifted = _EXACT.subtract(scaled, _EXACT.multiply(other.shift, unit.denominator))
    number = _ROUNDED.divide(shifted, _EXACT.multiply(other.numerator, unit.denominator))
    return number if number.is_finite() else None


def _in_base(value: Decimal, unit: _Unit) -> Decimal:
    return _ROUNDED.divide(_EXACT.add(_EXACT.multiply(value, unit.numerator), unit.shift), unit.denominator)


def _unit(code: str) -> _Unit | None:
    return _known_unit(code) if len(code) <= _LONGEST else None


@lru_cache(maxsize=4096)
def _known_unit(code: str) -> _Unit | None:
    temperature = _temperature(code)
    if temperature is not None:
        factor, offset, base = *temperature, "K"
    else:
        product = _parse(code)
        if product is None:
            return None
        factor, offset, base = product.factor, Fraction(0), _base(product.dimensions)
    denominator = factor.denominator * offset.denominator
    return _Unit(
        Decimal(factor.numerator * offset.denominator),
        Decimal(denominator),
        Decimal(int(offset * denominator)),
        base,
    )


def _temperature(code: str) -> tuple[Fraction, Fraction] | None:
    """Scale and offset of a temperature that stands alone; inside a product it is a difference of no known scale."""
    if code in _OFFSETS:
        return _OFFSETS[code]
    if code.endswith("Cel") and code[:-3] in prefixes():
        scale, offset = _OFFSETS["Cel"]
        return scale * prefixes()[code[:-3]], offset
    return None


def _base(dimensions: dict[str, int]) -> str:
    order = [name for name in BASE_UNITS if name in dimensions]
    order += sorted(dimensions.keys() - set(order))
    return ".".join(name + (str(dimensions[name]) if dimensions[name] != 1 else "") for name in order) or "1"


def _parse(code: str) -> _Product | None:
    if not code or not code.isascii():
        return None
    try:
        return _Parser(code).whole()
    except _NotUcum:
        return None


class _NotUcum(ValueError):
    pass


class _Parser:
    """UCUM's grammar (§§ 5–12): components joined by `.` and `/` from the left, annotations ignored."""

    def __init__(self, code: str):
        self._code = code
        self._place = 0

    def whole(self) -> _Product:
        result = self._term(0)
        if self._place != len(self._code):
            raise _NotUcum
        return result

    def _term(self, depth: int) -> _Product:
        if depth > _DEEPEST:
            raise _NotUcum
        result = _ONE
        sign = -1 if self._next("/") else 1
        while True:
            result = result.times(self._component(depth), sign)
            if self._next("."):
                sign = 1
            elif self._next("/"):
                sign = -1
            else:
                return result

    def _next(self, symbol: str) -> bool:
        if self._code.startswith(symbol, self._place):
            self._place += 1
            return True
        return False

    def _component(self, depth: int) -> _Product:
        match = _TOKEN(self._code, self._place)
        if match is None or match["symbol"] not in (None, "("):
            raise _NotUcum
        self._place = match.end()
        if match["symbol"]:
            result = self._term(depth + 1)
            if not self._next(")"):
                raise _NotUcum
        elif match["factor"]:
            if match["factor"].strip("0") == "":
                raise _NotUcum
            result = _Product(Fraction(match["factor"]), {})
        elif match["atom"]:
            exponent = int(match["exponent"] or 1)
            if abs(exponent) > _HIGHEST_EXPONENT or exponent == 0:
                raise _NotUcum
            simple = _simple_unit(match["atom"])
            result = _Product(
                simple.factor**exponent, {name: power * exponent for name, power in simple.dimensions.items()}
            )
        else:
            return _ONE
        if self._code.startswith("{", self._place):
            annotation = _TOKEN(self._code, self._place)
            if annotation is None:
                raise _NotUcum
            self._place = annotation.end()
        return result


def _simple_unit(atom: str) -> _Product:
    """A unit, or a metric one with a prefix."""
    table = definitions()
    if atom in table:
        return _defined(atom)
    for length in (1, 2):
        scale, rest = prefixes().get(atom[:length]), atom[length:]
        if scale is not None and rest in table and table[rest].is_metric:
            unit = _defined(rest)
            return _Product(unit.factor * scale, unit.dimensions)
    raise _NotUcum


@lru_cache(maxsize=512)
def _defined(atom: str) -> _Product:
    definition: Definition = definitions()[atom]
    if definition.unit is None:
        return _Product(Fraction(1), {atom: 1})
    product = _Parser(definition.unit).whole()
    return _Product(product.factor * definition.value, product.dimensions)
