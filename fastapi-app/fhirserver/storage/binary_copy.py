"""Rows in the binary form that COPY takes, for columns of known types.

The driver encodes a value by a call for each element of an array; here it is a call for each array.

https://www.postgresql.org/docs/current/sql-copy.html (Binary Format)
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from struct import Struct, pack
from typing import Any

from fhirserver.storage.tsvector import encode_words

Encode = Callable[[Any], bytes]
"""A value as its length and its bytes."""

_START = b"PGCOPY\n\xff\r\n\x00" + pack(">ii", 0, 0)
_END = pack(">h", -1)
_NULL = pack(">i", -1)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_INT8, _FLOAT8 = 20, 701
_NO_WORDS = pack(">ii", 4, 0)
_EMPTY = {of: pack(">iiii", 12, 0, 0, of) for of in (_INT8, _FLOAT8)}
_integer = Struct(">ii").pack
_long = Struct(">iq").pack
_flag = Struct(">i?").pack
_length = Struct(">i").pack


@lru_cache(maxsize=256)
def _items(form: str, count: int) -> Struct:
    return Struct(">iiiiii" + form * count)


def _list(values: Sequence[float], of: int, form: str) -> bytes:
    count = len(values)
    if not count:
        return _EMPTY[of]
    items: list[float] = [8] * (2 * count)
    items[1::2] = values
    return _items(form, count).pack(20 + 12 * count, 1, 0, of, count, 1, *items)


def longs(values: Sequence[int]) -> bytes:
    """A bigint[]."""
    return _list(values, _INT8, "iq")


def doubles(values: Sequence[float]) -> bytes:
    """A float8[]."""
    return _list(values, _FLOAT8, "id")


def integer(value: int) -> bytes:
    """An integer."""
    return _integer(4, value)


def long(value: int) -> bytes:
    """A bigint."""
    return _long(8, value)


def flag(value: bool) -> bytes:
    """A boolean."""
    return _flag(1, value)


def octets(value: bytes) -> bytes:
    """A bytea; a json as its text."""
    return _length(len(value)) + value


def text(value: str) -> bytes:
    """A text."""
    return octets(value.encode())


def instant(value: datetime) -> bytes:
    """A timestamptz."""
    passed = value - _EPOCH
    return _long(8, (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds)


def words(value: Sequence[Sequence[str]]) -> bytes:
    """A tsvector, given as `encode_words` takes it."""
    return octets(encode_words(value)) if any(value) else _NO_WORDS


def rows(encodes: Sequence[Encode], values: Iterable[Sequence[Any]]) -> bytes:
    """What `COPY … FROM STDIN (FORMAT binary)` is to be sent. None is NULL in any column."""
    count = pack(">h", len(encodes))
    parts = [_START]
    for row in values:
        parts.append(count)
        parts += [_NULL if value is None else encode(value) for encode, value in zip(encodes, row, strict=True)]
    parts.append(_END)
    return b"".join(parts)
