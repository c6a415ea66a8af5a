from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirserver.fhir.datatypes.ids import embedded_bucket, home_bucket, is_id, uuid8

MADE = "018bcfe5-6800-804d-8000-0000075bcd15"


@pytest.mark.parametrize(
    ("text", "valid", "reason"),
    [
        ("1", True, "one character"),
        ("a" * 64, True, "the longest"),
        ("A-Z.a-z.0-9", True, "all kinds of characters"),
        ("", False, "empty"),
        ("a" * 65, False, "too long"),
        ("a_b", False, "underscore is not among them"),
        ("a b", False, "blank"),
        ("a/b", False, "slash"),
        ("é", False, "letters of ASCII only"),
        ("１", False, "digits of ASCII only"),
        ("a\n", False, "a line feed at the end"),
    ],
)
def test_id(text: str, valid: bool, reason: str) -> None:
    assert is_id(text) is valid, reason


def test_layout_of_uuid8() -> None:
    made = uuid8(77, 1_700_000_000_000, 123_456_789)
    assert made == MADE
    number = UUID(made)
    assert number.version == 8
    assert number.int >> 80 == 1_700_000_000_000
    assert number.int & ((1 << 62) - 1) == 123_456_789


@given(st.integers(0, 4095), st.integers(0, (1 << 48) - 1), st.integers(0, (1 << 80)))
def test_uuid8_tells_its_bucket(bucket: int, milliseconds: int, random_bits: int) -> None:
    made = uuid8(bucket, milliseconds, random_bits)
    assert is_id(made)
    assert str(UUID(made)) == made
    assert embedded_bucket(made) == home_bucket(made) == bucket


@given(st.lists(st.integers(0, (1 << 48) - 1), min_size=2, max_size=5))
def test_uuid8_sorts_by_time(times: list[int]) -> None:
    assert sorted(uuid8(5, time, 0) for time in times) == [uuid8(5, time, 0) for time in sorted(times)]


@pytest.mark.parametrize(("bucket", "milliseconds"), [(-1, 0), (4096, 0), (0, -1), (0, 1 << 48)])
def test_what_does_not_fit_is_refused(bucket: int, milliseconds: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        uuid8(bucket, milliseconds, 0)


@pytest.mark.parametrize(
    ("id", "reason"),
    [
        (MADE.upper(), "not canonical: upper case"),
        (MADE.replace("-", ""), "no hyphens"),
        ("018bcfe5-6800-704d-8000-0000075bcd15", "version 7"),
        ("018bcfe5-6800-804d-c000-0000075bcd15", "another variant"),
        ("018bcfe5-6800-804d-8000-0000075bcd1g", "not hexadecimal"),
        ("patient-1", "an id of a client"),
    ],
)
def test_other_ids_are_hashed(id: str, reason: str) -> None:
    assert embedded_bucket(id) is None, reason
    assert 0 <= home_bucket(id) < 4096


def test_the_hash_stays_what_it_is() -> None:
    # Stored rows depend on it.
    assert [home_bucket(id) for id in ("1", "example", "pat-1")] == [344, 2444, 2898]
