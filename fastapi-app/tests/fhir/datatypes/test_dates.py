from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirserver.fhir.datatypes.dates import date_interval, precision

MADRID = ZoneInfo("Europe/Madrid")


def instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("text", "zone", "first", "after", "how_precise", "reason"),
    [
        ("2024", UTC, "2024-01-01T00:00Z", "2025-01-01T00:00Z", "year", "a leap year"),
        ("1900", UTC, "1900-01-01T00:00Z", "1901-01-01T00:00Z", "year", "no leap year"),
        ("2024-02", UTC, "2024-02-01T00:00Z", "2024-03-01T00:00Z", "month", "29 days"),
        ("2024-12", UTC, "2024-12-01T00:00Z", "2025-01-01T00:00Z", "month", "the next year follows"),
        ("2024-05-05", UTC, "2024-05-05T00:00Z", "2024-05-06T00:00Z", "day", "a day"),
        ("2024-05-05", MADRID, "2024-05-04T22:00Z", "2024-05-05T22:00Z", "day", "a day elsewhere"),
        ("2024-03-31", MADRID, "2024-03-30T23:00Z", "2024-03-31T22:00Z", "day", "a day of 23 hours"),
        ("2024", MADRID, "2023-12-31T23:00Z", "2024-12-31T23:00Z", "year", "a year elsewhere"),
        ("2024-05-05T10:00", UTC, "2024-05-05T10:00Z", "2024-05-05T10:01Z", "minute", "no seconds"),
        ("2024-05-05T10:00Z", MADRID, "2024-05-05T10:00Z", "2024-05-05T10:01Z", "minute", "its own zone"),
        ("2024-05-05T10:00", MADRID, "2024-05-05T08:00Z", "2024-05-05T08:01Z", "minute", "the zone given"),
        ("2024-05-05T10:00:07Z", UTC, "2024-05-05T10:00:07Z", "2024-05-05T10:00:08Z", "second", "a second"),
        ("2024-05-05T10:00:07+05:30", UTC, "2024-05-05T04:30:07Z", "2024-05-05T04:30:08Z", "second", "east"),
        ("2024-05-05T20:00:07-05:00", UTC, "2024-05-06T01:00:07Z", "2024-05-06T01:00:08Z", "second", "west"),
        ("2024-05-05T10:00:07", MADRID, "2024-05-05T08:00:07Z", "2024-05-05T08:00:08Z", "second", "no zone"),
        ("2024-05-05T10:00:07.5Z", UTC, "2024-05-05T10:00:07.5Z", "2024-05-05T10:00:07.6Z",
         "fraction", "tenths"),
        ("2024-05-05T10:00:07.123Z", UTC, "2024-05-05T10:00:07.123Z", "2024-05-05T10:00:07.124Z",
         "fraction", "milliseconds"),
    ],
)  # fmt: skip
def test_interval(text: str, zone: tzinfo, first: str, after: str, how_precise: str, reason: str) -> None:
    low, high = date_interval(text, zone)
    assert low == pytest.approx(instant(first), abs=1e-7), reason
    assert high == pytest.approx(instant(after) - 1e-6, abs=5e-7), reason
    assert precision(text) == how_precise


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("24", "two digits"),
        ("0000", "there is no year 0"),
        ("2024-13", "no such month"),
        ("2024-00", "no such month"),
        ("2024-2", "one digit"),
        ("2024-02-30", "no such day"),
        ("2023-02-29", "no leap year"),
        ("20240505", "without hyphens"),
        ("2024-W01-1", "a week date"),
        ("2024-05-05T", "no time"),
        ("2024-05-05T10", "no minutes"),
        ("2024-05-05T24:00:00Z", "hours end at 23"),
        ("2024-05-05T10:60:00Z", "minutes end at 59"),
        ("2024-05-05T10:00:61Z", "seconds end at 60"),
        ("2024-05-05 10:00:00Z", "a blank for the T"),
        ("2024-05-05T10:00:00z", "a small z"),
        ("2024-05-05T10:00:00+14:01", "no zone is farther than 14 hours"),
        ("2024-05-05T10:00:00+0200", "a zone without colon"),
        ("2024-05-05T10:00:00.Z", "no digits after the point"),
        ("2024-02-30T10:00:00Z", "no such day"),
        ("２０２４", "digits of ASCII only"),
        ("2024-05-05\n", "a line feed"),
    ],
)
def test_no_date(text: str, reason: str) -> None:
    try:
        date_interval(text, UTC)
    except ValueError:
        return
    pytest.fail(reason)


def test_leap_second_is_the_last_instant_of_its_minute() -> None:
    low, high = date_interval("2016-12-31T23:59:60Z", UTC)
    assert low == high == pytest.approx(instant("2017-01-01T00:00Z") - 1e-6, abs=5e-7)


@pytest.mark.parametrize("text", ["0001", "0001-01-01", "9999", "9999-12-31", "9999-12-31T23:59:59Z"])
@pytest.mark.parametrize("zone", [UTC, MADRID, timezone(timedelta(hours=-14)), timezone(timedelta(hours=14))])
def test_ends_of_the_calendar(text: str, zone: tzinfo) -> None:
    low, high = date_interval(text, zone)
    assert low < high


@given(st.dates(), st.sampled_from([UTC, MADRID]))
def test_days_follow_each_other_without_overlap(day: object, zone: tzinfo) -> None:
    text = str(day)
    low, high = date_interval(text, zone)
    month_low, month_high = date_interval(text[:7], zone)
    year_low, year_high = date_interval(text[:4], zone)
    assert year_low <= month_low <= low < high <= month_high <= year_high


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-8)), timezone(timedelta(hours=3))])))
def test_agrees_with_datetime(at: datetime) -> None:
    low, high = date_interval(at.isoformat(timespec="milliseconds").replace("+00:00", "Z"), UTC)
    assert low == pytest.approx(at.replace(microsecond=at.microsecond // 1000 * 1000).timestamp(), abs=1e-4)
    assert low <= high
