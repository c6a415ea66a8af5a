"""Words as PostgreSQL's tsvector, in the binary form that COPY and parameters take.

https://www.postgresql.org/docs/current/datatype-textsearch.html#DATATYPE-TSVECTOR
"""

from collections.abc import Sequence
from struct import Struct, pack

_LAST_POSITION = 16_383
_MOST_POSITIONS = 255
_NARRATIVE = 3 << 14  # weight A
_LIMIT = 1 << 20
_FEW = 16
_formats = [Struct(f">xH{count}H") for count in range(_FEW)]


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
            found = positions.get(word)
            if found is None:
                positions[word] = [weight | min(at, _LAST_POSITION)]
            elif len(found) < _MOST_POSITIONS and at <= _LAST_POSITION:
                found.append(weight | at)
    parts, size = [], 0
    for word in sorted(positions):  # code points sort as UTF-8 does
        places = positions[word]
        count = len(places)
        part = word.encode() + (_formats[count] if count < _FEW else Struct(f">xH{count}H")).pack(count, *places)
        size += len(part)
        if size > _LIMIT - 64:
            break
        parts.append(part)
    return pack(">i", len(parts)) + b"".join(parts)
