"""https://hl7.org/fhir/R4/location.html#positional

A position is indexed by the cells of grids of growing fineness that it lies in; a search looks into the few cells that
cover its circle, and measures what is there.
"""

import re
from collections.abc import Iterator
from math import asin, ceil, cos, degrees, floor, radians, sin, sqrt
from typing import Any

from fhirserver.search.entry import EntryBuilder
from fhirserver.search.query.tree import NearMatch, Node, disjunction
from fhirserver.search.types.clause import Clause, Index, Source, split, unescape
from fhirserver.search.types.number import as_float

MODIFIERS: tuple[str, ...] = ()

EARTH_RADIUS = 6371.0088  # km
_KILOMETRES = {"km": 1.0, "m": 0.001, "[mi_i]": 1.609344, "[mi_us]": 1.609347, "[nmi_i]": 1.852, "[ft_i]": 0.0003048}
_DEFAULT_DISTANCE = 50.0  # km
_MAX_CELLS = 40
_FINEST = 15  # cells of 0.6 km from south to north
_COARSEST = 2
_NUMBER = re.compile(r"[+-]?\d{1,12}(\.\d{1,20})?", re.ASCII)


def indexer(source: Source) -> Index | None:
    """The cells, and both coordinates as intervals of length zero."""
    keys = source.keys

    def position(value: Any, entry: EntryBuilder) -> None:
        latitude, longitude = as_float(value.get("latitude")), as_float(value.get("longitude"))
        if latitude is None or longitude is None or not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            return
        for level in range(_COARSEST, _FINEST + 1):
            entry.keys.add(keys.cell(level, *_cell(level, latitude, longitude)))
        entry.add_range(keys.range("latitude"), latitude, latitude)
        entry.add_range(keys.range("longitude"), longitude, longitude)

    return position


def parse(clause: Clause) -> Node:
    """`latitude|longitude|distance|unit`; without a unit kilometres, without a distance 50 of them."""
    return disjunction(_parse_one(clause, value) for value in clause.values)


def _parse_one(clause: Clause, value: str) -> Node:
    parts = [unescape(part) for part in split(value, "|")]
    if not 2 <= len(parts) <= 4 or not all(_NUMBER.fullmatch(part) for part in parts[:2]):
        raise _wrong(clause, value)
    latitude, longitude = float(parts[0]), float(parts[1])
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise _wrong(clause, value)
    kilometres = _DEFAULT_DISTANCE
    if len(parts) > 2 and parts[2]:
        unit = _KILOMETRES.get(parts[3] if len(parts) == 4 and parts[3] else "km")
        if unit is None or not _NUMBER.fullmatch(parts[2]) or parts[2].startswith("-"):
            raise _wrong(clause, value)
        kilometres = float(parts[2]) * unit
    keys = clause.keys
    cells = tuple(keys.cell(*cell) for cell in _covering(latitude, longitude, kilometres)) or (keys.present,)
    return NearMatch(
        clause.label(value), cells, keys.range("latitude"), keys.range("longitude"), latitude, longitude, kilometres
    )


def _wrong(clause: Clause, value: str) -> Exception:
    return clause.wrong(value, f"latitude|longitude|distance|unit, with a unit of {', '.join(_KILOMETRES)}")


def distance(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """The kilometres between two positions given in degrees."""
    south, north = radians(latitude), radians(other_latitude)
    up, across = (north - south) / 2, radians(other_longitude - longitude) / 2
    return 2 * EARTH_RADIUS * asin(sqrt(min(1.0, sin(up) ** 2 + cos(south) * cos(north) * sin(across) ** 2)))


def _cell(level: int, latitude: float, longitude: float) -> tuple[int, int]:
    """Row and column: 2^level rows from pole to pole, twice as many columns around."""
    rows = 1 << level
    row = min(rows - 1, floor((latitude + 90) / 180 * rows))
    return row, floor((longitude + 180) / 360 * rows * 2) % (rows * 2)


def _covering(latitude: float, longitude: float, kilometres: float) -> Iterator[tuple[int, int, int]]:
    """The cells (level, row, column) of the finest grid of which few cover the circle; none if it is half the Earth."""
    up = degrees(kilometres / EARTH_RADIUS) * 1.001 + 1e-9
    south, north = latitude - up, latitude + up
    if up >= 90:
        return
    if south <= -90 or north >= 90:
        across = 180.0  # a pole is within
    else:
        ratio = sin(radians(up)) / cos(radians(latitude))
        across = degrees(asin(ratio)) * 1.001 + 1e-9 if ratio < 1 else 180.0
    south, north = max(south, -90.0), min(north, 90.0)
    for level in range(_FINEST, _COARSEST - 1, -1):
        rows = 1 << level
        step = 180 / rows
        first, last = _cell(level, south, 0)[0], _cell(level, north, 0)[0]
        columns = min(rows * 2, ceil(2 * across / step) + 1)
        if (last - first + 1) * columns <= _MAX_CELLS:
            start = floor((longitude - across + 180) / step)
            for row in range(first, last + 1):
                for column in range(start, start + columns):
                    yield level, row, column % (rows * 2)
            return
