"""Comparison of JSON to the letter: order of keys and the way numbers are written count."""

import json
from typing import Any


def exactly(data: bytes) -> Any:
    """JSON in a form that is equal only for the same keys in the same order and the same literals."""
    return json.loads(data, object_pairs_hook=_members, parse_float=_literal, parse_int=_literal)


def _members(pairs: list[tuple[str, Any]]) -> Any:
    return ("object", pairs)


def _literal(text: str) -> Any:
    return ("number", text)
