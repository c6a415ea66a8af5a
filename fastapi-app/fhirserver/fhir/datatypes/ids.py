"""Logical ids, and the bucket (0..4095) that an id belongs to.

An id made here is a UUIDv8 (RFC 9562): 48 bits of Unix milliseconds, version 8, 12 bits of bucket,
variant 10, 62 random bits. Such ids sort by time and tell their bucket without a look-up.

https://hl7.org/fhir/R4/datatypes.html#id
"""

import re

from xxhash import xxh3_64_intdigest

BUCKETS = 4096

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}").fullmatch
_UUID8 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}").fullmatch
_RANDOM_BITS = (1 << 62) - 1


def is_id(text: str) -> bool:
    """Whether the text is a valid R4 `id`: 1 to 64 of A-Z, a-z, 0-9, `-` and `.`."""
    return _ID(text) is not None


def uuid8(bucket: int, milliseconds: int, random_bits: int) -> str:
    """A UUIDv8 for this bucket (0..4095) and Unix time; of `random_bits` the lowest 62 are used.

    Raises ValueError if the bucket or the time does not fit its field.
    """
    if not 0 <= bucket < BUCKETS or not 0 <= milliseconds < 1 << 48:
        raise ValueError("bucket or time out of range")
    digits = "%032x" % (milliseconds << 80 | 0x8 << 76 | bucket << 64 | 0b10 << 62 | random_bits & _RANDOM_BITS)
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def embedded_bucket(id: str) -> int | None:
    """The bucket inside a canonical (lower-case) UUIDv8; None for any other id."""
    if len(id) == 36 and id[14] == "8" and _UUID8(id):
        return int(id[15:18], 16)
    return None


def home_bucket(id: str) -> int:
    """The bucket where an id is looked for first: the embedded one, else 12 bits of its hash (xxh3)."""
    bucket = embedded_bucket(id)
    return int(xxh3_64_intdigest(id.encode())) & 0xFFF if bucket is None else bucket
