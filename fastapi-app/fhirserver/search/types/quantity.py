"""https://hl7.org/fhir/R4/search.html#quantity"""

from decimal import Decimal
from math import inf, isfinite, isinf, nextafter
from typing import Any

from fhirserver.fhir.datatypes.ucum import SYSTEM, canonical
from fhirserver.search.entry import EntryBuilder
from fhirserver.search.keys import ParameterKeys
from fhirserver.search.query.tree import Node, RangeMatch, disjunction
from fhirserver.search.types.clause import Clause, Index, Source, split, unescape
from fhirserver.search.types.intervals import comparisons
from fhirserver.search.types.magnitude import keys_among, keys_of
from fhirserver.search.types.number import as_float, asked_interval, range_bounds

MODIFIERS: tuple[str, ...] = ()

_QUANTITIES = frozenset({"Quantity", "Age", "Duration", "Distance", "Count", "SimpleQuantity", "MoneyQuantity"})
_CURRENCIES = "urn:iso:std:iso:4217"


def indexer(source: Source) -> Index | None:
    """Each value three times: by itself, with its code or unit, with system and code (UCUM's in base units)."""
    keys = source.keys
    match source.branch.type_name:
        case name if name in _QUANTITIES:
            return lambda value, entry: _quantity(keys, value, entry)
        case "Money":
            return lambda value, entry: _add(
                keys, as_float(value.get("value")), None, _CURRENCIES, value.get("currency"), None, entry
            )
        case "Range":
            return lambda value, entry: _range(keys, value, entry)
        case "SampledData":
            return lambda value, entry: _sampled(keys, value, entry)
    return None


def _quantity(keys: ParameterKeys, value: Any, entry: EntryBuilder) -> None:
    """A comparator makes the value an interval with one open end."""
    number = as_float(value.get("value"))
    if number is None:
        return
    low = high = number
    match value.get("comparator"):
        case "<":
            low, high = -inf, nextafter(number, -inf)
        case "<=":
            low = -inf
        case ">":
            low, high = nextafter(number, inf), inf
        case ">=":
            high = inf
    _add(keys, low, high, value.get("system"), value.get("code"), value.get("unit"), entry)


def _range(keys: ParameterKeys, value: Any, entry: EntryBuilder) -> None:
    bounds = range_bounds(value)
    if bounds is None:
        return
    unit = value.get("low") or value.get("high") or {}
    _add(keys, *bounds, unit.get("system"), unit.get("code"), unit.get("unit"), entry)


def _sampled(keys: ParameterKeys, value: Any, entry: EntryBuilder) -> None:
    """From the lowest to the highest sample."""
    origin = value.get("origin") or {}
    zero = as_float(origin.get("value")) or 0.0
    factor = as_float(value.get("factor"))
    samples = [zero + sample * (1.0 if factor is None else factor) for sample in _numbers(value.get("data"))]
    if samples and all(map(isfinite, samples)):
        _add(
            keys,
            min(samples),
            max(samples),
            origin.get("system"),
            origin.get("code"),
            origin.get("unit"),
            entry,
        )


def _numbers(data: Any) -> list[float]:
    """The samples that are numbers; `E`, `L` and `U` are none, nor are those that Python alone reads (`nan`, `inf`)."""
    numbers = []
    for word in str(data or "").split():
        try:
            number = float(word)
        except ValueError:
            continue
        if isfinite(number):
            numbers.append(number)
    return numbers


def _add(
    keys: ParameterKeys,
    low: float | None,
    high: float | None,
    system: Any,
    code: Any,
    unit: Any,
    entry: EntryBuilder,
) -> None:
    if low is None:
        return
    if high is None:
        high = low
    entry.add_range(keys.range(), low, high)
    entry.keys.update(keys_of(keys, low, high))
    for text in (code, unit):
        if isinstance(text, str):
            entry.add_range(keys.range(text), low, high)
    if isinstance(system, str) and isinstance(code, str):
        entry.add_range(*_in_unit(keys, system, code, low, high))


def _in_unit(keys: ParameterKeys, system: str, code: str, low: float, high: float) -> tuple[int, float, float]:
    """Key and bounds of an interval in a unit: in UCUM's base units if it is one of UCUM, else as it is."""
    lower = _canonical(low, code) if system == SYSTEM else None
    upper = _canonical(high, code) if lower is not None and high != low else lower
    if lower is None or upper is None:
        return keys.range(f"{system}|{code}"), low, high
    return keys.range(f"{system}|={lower[1]}"), lower[0], upper[0]


def _canonical(number: float, code: str) -> tuple[float, str] | None:
    infinite = isinf(number)
    found = canonical(Decimal(0 if infinite else repr(number)), code)
    if found is None:
        return None
    value = float(found[0])
    return (number, found[1]) if infinite else (value, found[1]) if isfinite(value) else None


def parse(clause: Clause) -> Node:
    """`number`, `number|system|code` or `number||code`, where a code may be the unit as it is written."""
    return disjunction(_parse_one(clause, value) for value in clause.values)


def _parse_one(clause: Clause, value: str) -> Node:
    number, *unit = (unescape(part) for part in split(value, "|"))
    if len(unit) not in (0, 2) or (unit and not unit[1]):
        raise clause.wrong(value, "number, number|system|code or number||code")
    prefix, low, high = asked_interval(clause, number)
    if unit and unit[0]:
        # The upper end of what rounds to the number is excluded: it is converted as the limit that it is.
        limit = nextafter(high, inf) if high != low else high
        key, low, high = _in_unit(clause.keys, unit[0], unit[1], low, limit)
        high = nextafter(high, -inf) if high != low else high
        alternatives = comparisons(prefix, low, high)
        among: tuple[int, ...] = (clause.keys.present,)  # the magnitude is that of the number as it was written
    else:
        key = clause.keys.range(unit[1] if unit else "")
        alternatives = comparisons(prefix, low, high)
        among = keys_among(clause.keys, alternatives)
    return RangeMatch(clause.label(value), key, alternatives, among)
