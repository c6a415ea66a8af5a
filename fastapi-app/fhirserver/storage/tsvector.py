"""Words as PostgreSQL's tsvector, in the binary form that COPY and parameters take.

https://www.postgresql.org/docs/current/datatype-textsearch.html#DATATYPE-TSVECTOR
"""

from collections.abc import Sequence
from struct import pack

_LAST_POSITION = 16_383
_MOST_POSITIONS = 255
_NARRATIVE = 3 << 14  # weight A
_LIMIT = 1 << 20


def encode_words(value: Sequence[Sequence[str]]) -> bytes:
    """Of `(narrative, words)`, or `()` for none: each word with its positions, those of the narrative under weight A.

    Positions past what a tsvector can hold are as its last one.
    """
    positions: dict[str, list[int]] = {}
    at = 0
    for weight, words in zip((_NARRATIVE, 0), value, strict=False):
        at += 2  # no phrase goes across
        for word in words:
            at += 1
            found = positions.setdefault(word, [])
            place = weight | min(at, _LAST_POSITION)
            if len(found) < _MOST_POSITIONS and (not found or found[-1] & _LAST_POSITION != _LAST_POSITION):
                found.append(place)
    parts, size = [], 0
    for word in sorted(positions, key=str.encode):
        places = sorted(positions[word], key=lambda place: place & _LAST_POSITION)
        part = word.encode() + pack(f">xH{len(places)}H", len(places), *places)
        size += len(part)
        if size > _LIMIT - 64:
            break
        parts.append(part)
    return pack(">i", len(parts)) + b"".join(parts)
