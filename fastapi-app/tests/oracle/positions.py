"""Positions on the Earth. https://hl7.org/fhir/R4/location.html#positional"""

from math import acos, cos, radians, sin
from typing import Any

from .texts import plain, split

KILOMETRES = {"km": 1.0, "m": 0.001, "[mi_i]": 1.609344}


def near_matches(position: dict[str, Any] | None, asked: str) -> bool:
    """`latitude|longitude|distance|unit`: at most that far, along the surface of a sphere."""
    if position is None:
        return False
    latitude, longitude, distance, unit = map(plain, split(asked, "|"))
    here, there = _direction(float(latitude), float(longitude)), _direction(**_degrees(position))
    angle = acos(max(-1.0, min(1.0, sum(a * b for a, b in zip(here, there, strict=True)))))
    return angle * 6371.0088 <= float(distance) * KILOMETRES[unit]


def _degrees(position: dict[str, Any]) -> dict[str, float]:
    return {"latitude": float(position["latitude"]), "longitude": float(position["longitude"])}


def _direction(latitude: float, longitude: float) -> tuple[float, float, float]:
    """From the centre of the Earth."""
    north, east = radians(latitude), radians(longitude)
    return cos(north) * cos(east), cos(north) * sin(east), sin(north)
