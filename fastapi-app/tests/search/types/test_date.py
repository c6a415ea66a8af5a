"""Facts about dates. https://hl7.org/fhir/R4/search.html#date and #prefix"""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fhirserver.fhir.outcomes import InvalidRequest

from ..evaluate import Searcher


def observation(value: Any) -> dict[str, Any]:
    """A resource whose `date` is a dateTime, a Period or a Timing."""
    if isinstance(value, str):
        return {"resourceType": "Observation", "effectiveDateTime": value}
    name = "effectiveTiming" if "event" in value or "repeat" in value else "effectivePeriod"
    return {"resourceType": "Observation", name: value}


JUNE = {"start": "2013-06-01", "end": "2013-06-30"}
SINCE_JUNE = {"start": "2013-06-01"}
TO_JUNE = {"end": "2013-06-30"}

FACTS = [
    # eq: "the range of the search value fully contains the range of the target value"
    ("2013", "2013", True, "the same year"),
    ("2013", "2013-12-31", True, "a day of the year"),
    ("2013", "2013-12-31T23:59:59.999Z", True, "the last moment of the year"),
    ("2013", "2014-01-01T00:00:00Z", False, "the first moment of the next"),
    ("2013-01", "2013", False, "a month doesn't contain the year"),
    ("2013-01", "2013-01-31", True, "a day of the month"),
    ("2013-02", "2013-01-31", False, "another month"),
    ("2013-01-14", "2013-01-14", True, "the same day"),
    ("2013-01-14", "2013-01-14T00:00:00Z", True, "'obviously'"),
    ("2013-01-14", "2013-01-14T10:00:00Z", True, "'obviously'"),
    ("2013-01-14", "2013-01-15T00:00:00Z", False, "'obviously'"),
    ("2013-01-14", "2013-01", False, "a day doesn't contain the month"),
    ("2013-01-14T10:00", "2013-01-14T10:00:00Z", True, "a second of the minute"),
    ("2013-01-14T10:00", "2013-01-14T10:00:59.999Z", True, "the last moment of the minute"),
    ("2013-01-14T10:00", "2013-01-14T10:01:00Z", False, "the next minute"),
    ("2013-01-14T10:00:00", "2013-01-14T10:00:00.5Z", True, "a fraction of the second"),
    ("2013-01-14T10:00:00.5Z", "2013-01-14T10:00:00.5Z", True, "the same instant"),
    ("2013-01-14T10:00:00.5Z", "2013-01-14T10:00:00.6Z", False, "another tenth"),
    ("2013-01-14T10:00:00", "2013-01-14", False, "a second doesn't contain the day"),
    ("eq2013-01-14", "2013-01-14", True, "eq is the default"),
    # zones
    ("2013-01-14T10:00:00Z", "2013-01-14T12:00:00+02:00", True, "the same moment"),
    ("2013-01-14T12:00:00+02:00", "2013-01-14T10:00:00Z", True, "the same moment"),
    ("2013-01-15", "2013-01-14T23:30:00-05:00", True, "the day in the server's zone (UTC)"),
    ("2013-01-14", "2013-01-14T23:30:00-05:00", False, "the day in the server's zone (UTC)"),
    ("2013-01-14", "2013-01-15T00:30:00+05:00", True, "the day in the server's zone (UTC)"),
    # ne: "the range of the search value does not fully contain the range of the target value"
    ("ne2013-01-14", "2013-01-15", True, "another day"),
    ("ne2013-01-14", "2013-01-14T10:00:00Z", False, "within the day"),
    ("ne2013-01-14", "2013-01", True, "not fully contained"),
    # gt: "the range above the search value intersects the range of the target value"
    ("gt2013-01-14", "2013-01-15", True, "the next day"),
    ("gt2013-01-14", "2013-01-14", False, "the day itself"),
    ("gt2013-01-14", "2013-01-14T23:59:59Z", False, "within the day"),
    ("gt2013-01-14", "2013", True, "part of the year is later"),
    ("gt2013-01-14T10:00:00Z", "2013-01-14", True, "part of the day is later"),
    # lt: the range below
    ("lt2013-01-14", "2013-01-13T23:59:59Z", True, "the day before"),
    ("lt2013-01-14", "2013-01-14", False, "the day itself"),
    ("lt2013-01-14", "2013-01", True, "part of the month is earlier"),
    ("lt2013-01-14T10:00", "2013-01-14", True, "'includes a time before' that of the same day"),
    # ge, le: as gt and lt, or fully contained
    ("ge2013-01-14", "2013-01-14", True, "the equal is included"),
    ("ge2013-01-14", "2013-01-14T00:00:00Z", True, "the first moment of the day"),
    ("ge2013-01-14", "2013-01-13T23:59:59Z", False, "before it"),
    ("ge2013-03-14", "2013-01-21T00:00:00Z", False, "R4: from 2013-03-14 on"),
    ("ge2013-03-14", {"start": "2013-01-21"}, True, "R4: 'a period that continues' is included"),
    ("le2013-01-14", "2013-01-14", True, "the equal is included"),
    ("le2013-01-14", "2013-01-14T23:59:59.999Z", True, "the last moment of the day"),
    ("le2013-01-14", "2013-01-15T00:00:00Z", False, "after it"),
    ("le2013-03-14", {"end": "2013-06-30"}, True, "part of the period is before"),
    # sa: "the range of the target does not overlap and is above"
    ("sa2013-03-14", "2013-03-15", True, "R4: starts after the day"),
    ("sa2013-03-14", "2013-03-14T23:00:00Z", False, "within the day"),
    ("sa2013-03-14", {"start": "2013-01-01"}, False, "R4: 'not a period that started before'"),
    ("sa2013-03-14", "2013", False, "overlaps"),
    # eb
    ("eb2013-03-14", "2013-03-13", True, "R4: ends before the day"),
    ("eb2013-03-14", "2013-03-14", False, "the day itself"),
    ("eb2013-03-14", {"end": "2013-03-13"}, True, "the period ended"),
    ("eb2013-03-14", "2013", False, "overlaps"),
    # ap: 10 % of the distance to now (2024-01-01 in these tests)
    ("ap2014-01-01", "2014-12-01", True, "10 years ago: a year up and down"),
    ("ap2014-01-01", "2013-02-01", True, "10 years ago: a year up and down"),
    ("ap2014-01-01", "2015-02-01", False, "more than a year"),
    ("ap2014-01-01", {"start": "2000", "end": "2013-02-01"}, True, "overlaps"),
    ("ap2033-12-30", "2033-01-15", True, "10 years ahead: a year up and down"),
    ("ap2024-01-01", "2024-01-01T12:00:00Z", True, "now: exactly the day"),
    ("ap2024-01-01", "2024-01-02", False, "now: exactly the day"),
    # Periods
    ("2013", JUNE, True, "the whole period is within the year"),
    ("2013-06", JUNE, True, "the end of the period is the whole day"),
    ("2013-06-15", JUNE, False, "a day doesn't contain the period"),
    ("2013-06-15", {"start": "2013-06-15", "end": "2013-06-15"}, True, "the period is the day"),
    ("2013-06-15", {"start": "2013-06-15T08:00:00Z", "end": "2013-06-15T09:00:00Z"}, True, "within the day"),
    ("2013-06-15", {"start": "2013-06-15T08:00:00Z", "end": "2013-06-16T00:00:00Z"}, False, "ends the day after"),
    ("ne2013-06-15", JUNE, True, "not fully contained"),
    ("gt2013-06-15", JUNE, True, "part of it is later"),
    ("gt2013-06-30", JUNE, False, "its last day is not later"),
    ("lt2013-06-15", JUNE, True, "part of it is earlier"),
    ("lt2013-06-01", JUNE, False, "its first day is not earlier"),
    ("ge2013-06-30", JUNE, False, "neither later nor contained in that day"),
    ("ge2013-06-01", JUNE, True, "part of it is later"),
    ("sa2013-05-31", JUNE, True, "it starts the day after"),
    ("eb2013-07-01", JUNE, True, "it ends the day before"),
    ("2013", SINCE_JUNE, False, "without an end nothing contains it"),
    ("gt2030", SINCE_JUNE, True, "without an end it is not over"),
    ("lt2013-06-01", SINCE_JUNE, False, "its start counts"),
    ("lt2013-06-02", SINCE_JUNE, True, "its first day is earlier"),
    ("sa2013-05-31", SINCE_JUNE, True, "its start counts"),
    ("eb2030", SINCE_JUNE, False, "without an end it doesn't end"),
    ("ne2013-06", SINCE_JUNE, True, "not contained"),
    ("lt1900", TO_JUNE, True, "without a start it always was"),
    ("gt2013-06-30", TO_JUNE, False, "its end counts"),
    ("sa1900", TO_JUNE, False, "without a start it doesn't start"),
    ("eb2013-07", TO_JUNE, True, "its end counts"),
    ("2013", {"id": "x"}, False, "a period without both ends says nothing"),
    ("ge1900", {"id": "x"}, False, "a period without both ends says nothing"),
    # Timings: from the first event to the last, and the bounds
    ("2013-06", {"event": ["2013-06-10", "2013-06-20"]}, True, "all events are within the month"),
    ("2013-06-10", {"event": ["2013-06-10", "2013-06-20"]}, False, "outer limits, not each event"),
    ("gt2013-06-15", {"event": ["2013-06-10", "2013-06-20"]}, True, "part of it is later"),
    ("2013-06", {"repeat": {"boundsPeriod": JUNE}}, True, "the bounds"),
    ("gt2030", {"repeat": {"boundsPeriod": SINCE_JUNE}}, True, "open bounds"),
    ("ge1900", {"repeat": {"frequency": 1}}, False, "a schedule without bounds says nothing of the date"),
    ("2013-06", {"event": [None, "2013-06-10"]}, True, "an event that has only extensions"),
    # before 1970, and the ends of the calendar
    ("1969", "1969-12-31T23:59:59Z", True, "before the epoch"),
    ("1969-12-31", "1969-12-31", True, "before the epoch"),
    ("1970", "1969-12-31T23:59:59.999Z", False, "before the epoch"),
    ("1815-12-10", "1815-12-10", True, "long before"),
    ("1815-12-10", "1815-12-10T23:59:59Z", True, "long before"),
    ("lt1815-12-10", "1815-12-10", False, "long before"),
    ("ge1815-12-10", "1815-12-10", True, "long before"),
    ("0001", "0001-01-01", True, "the first day"),
    ("0001-01-01", "0001-01-01", True, "the first day"),
    ("0001-01-02", "0001-01-01", False, "the first day"),
    ("lt0002", "0001", True, "the first year"),
    ("9999", "9999-12-31", True, "the last day"),
    ("9999-12", "9999-12-31", True, "the last day"),
    ("9999-12-31", "9999-12-31", True, "the last day"),
    ("9999-12-31", "9999-12-30", False, "the last day"),
    ("9999-12-31", "9999-12-31T23:59:59Z", True, "the last second"),
    ("gt9999-12-30", "9999-12-31", True, "the last day"),
    ("gt9999-12-31", "9999-12-31", False, "nothing is later"),
    ("2024-02-29", "2024-02-29T23:59:59Z", True, "a leap day"),
    ("2024", {"start": "2024-01-01", "end": "2024-12-31"}, True, "all of a leap year"),
    ("2023", {"start": "2023-01-01", "end": "2024-12-31"}, False, "more than the year"),
    ("2016-12-31T23:59", "2016-12-31T23:59:60Z", True, "a leap second belongs to its minute"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "value", "found", "reason"), FACTS)
def test_facts(searcher: Searcher, asked: str, value: Any, found: bool, reason: str) -> None:
    assert searcher.matches(observation(value), f"date={asked}") is found, reason


@pytest.mark.parametrize(
    ("asked", "value", "found", "reason"),
    [
        ("2013-01-14", "2013-01-13T23:00:00Z", True, "midnight in winter is 23:00 UTC"),
        ("2013-01-14", "2013-01-14T23:00:00Z", False, "that is the next day"),
        ("2013-07-14", "2013-07-13T22:00:00Z", True, "midnight in summer is 22:00 UTC"),
        ("2013-07-14", "2013-07-14T22:00:00Z", False, "that is the next day"),
        ("2013-01", "2012-12-31T23:30:00Z", True, "January already"),
        ("2013", "2012-12-31T23:30:00Z", True, "2013 already"),
        ("2012", "2012-12-31T23:30:00Z", False, "2013 already"),
        ("2013-01-14", "2013-01-14", True, "both in the same zone"),
        ("2013-07-14T10:00:00", "2013-07-14T08:00:00Z", True, "a query without zone is in the server's"),
        ("2013-07-14T10:00:00Z", "2013-07-14T12:00:00+02:00", True, "zones that are given count"),
        ("gt2013-07-14", "2013-07-14T22:00:00Z", True, "the day is over at 22:00 UTC"),
        ("2013-03-31", "2013-03-31T21:59:59Z", True, "the day of 23 hours"),
        ("2013-03-31", "2013-03-31T22:00:00Z", False, "the day of 23 hours"),
        ("2013-10-27", "2013-10-27T22:59:59Z", True, "the day of 25 hours"),
        ("2013-06", {"start": "2013-06-01", "end": "2013-06-30"}, True, "a period without zones"),
        ("2013-03-31", {"start": "2013-03-31", "end": "2013-03-31"}, True, "a period that is the day of 23 hours"),
        ("1815-12-10", "1815-12-10", True, "local mean time, before there were zones"),
        ("0001-01-01", "0001-01-01", True, "the first day"),
        ("0001", "0001-01-01", True, "the first day"),
        ("9999-12-31", "9999-12-31", True, "the last day"),
        ("9999", "9999-12-31", True, "the last day"),
        ("2024", {"start": "2024-01-01", "end": "2024-12-31"}, True, "all of a leap year"),
    ],
)
def test_zone_of_the_server(in_madrid: Searcher, asked: str, value: Any, found: bool, reason: str) -> None:
    assert in_madrid.matches(observation(value), f"date={asked}") is found, reason


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("text", ["0001", "0001-01-01", "1970-01-01", "2024", "2024-02", "9999", "9999-12-31"])
def test_equal_texts_are_equal_in_any_zone(searcher: Searcher, zone: str, text: str) -> None:
    there = Searcher(searcher.definitions, ZoneInfo(zone))
    assert there.matches(observation(text), f"date={text}")
    assert not there.matches(observation(text), f"date=ne{text}")
    assert there.matches(observation(text), f"date=ge{text}")
    assert there.matches(observation(text), f"date=le{text}")
    assert not there.matches(observation(text), f"date=gt{text}")
    assert not there.matches(observation(text), f"date=lt{text}")


@pytest.mark.parametrize("query", ["date=ne2013", "date=2013", "date=lt2013", "date=gt2013"])
def test_without_a_value_no_comparison_holds(searcher: Searcher, query: str) -> None:
    assert not searcher.matches({"resourceType": "Observation"}, query)


def test_other_kinds(searcher: Searcher) -> None:
    patient = {"resourceType": "Patient", "birthDate": "1982-01"}
    assert searcher.matches(patient, "birthdate=1982")
    assert not searcher.matches(patient, "birthdate=1982-01-01")
    instant = {"resourceType": "Observation", "effectiveInstant": "2013-01-14T10:00:00.123Z"}
    assert searcher.matches(instant, "date=2013-01-14T10:00:00Z")
    condition = {"resourceType": "Condition", "onsetString": "in the spring of 2013"}
    assert searcher.matches(condition, "onset-info=in the spring")
    procedure = {"resourceType": "Procedure", "performedString": "2013"}
    assert searcher.matches(procedure, "date=2013"), "a text that is a date"
    age = {"resourceType": "Procedure", "performedAge": {"value": 3}}
    assert not searcher.matches(age, "date=ge0001")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("2024-05-10", True),
        ("2024-05-10T12:30:00Z", True),
        ("2024-05-10T12:30:00.123Z", True),
        ("2024-05-10T14:30:00+02:00", True),
        ("2024-05-11", False),
        ("ne2024-05-10", False),
        ("gt2024-05-10", False),
        ("ge2024-05-10", True),
        ("gt2024-05-10T12:30:00.122Z", True),
        ("gt2024-05-10T12:30:00.123Z", False),
        ("lt2024-05-10T12:30:00.123Z", False),
        ("le2024-05-10T12:30:00.123Z", True),
        ("sa2024-05-09", True),
        ("eb2024-05-11", True),
        ("2024-05-11,2024-05-10", True),
        ("2024-05-11,2024-05-12", False),
        ("gt0001-01-01T00:00:00+14:00", True),
        ("gt0001", True),
        ("ap0001", False),
        ("lt9999-12-31T23:59:59-14:00", True),
        ("lt9999", True),
        ("ap9999", False),
        ("ap2023", False),
    ],
)
def test_last_updated(searcher: Searcher, asked: str, found: bool) -> None:
    moment = datetime(2024, 5, 10, 12, 30, 0, 123_000, tzinfo=UTC)
    resource = {"resourceType": "Patient", "id": "p"}
    assert searcher.matches(resource, f"_lastUpdated={asked}", moment) is found


def test_last_updated_at_the_ends_of_the_calendar(in_madrid: Searcher) -> None:
    resource = {"resourceType": "Patient", "id": "p"}
    assert in_madrid.matches(resource, "_lastUpdated=ge0001-01-01")
    assert in_madrid.matches(resource, "_lastUpdated=le9999-12-31")
    assert not in_madrid.matches(resource, "_lastUpdated=lt0001-01-01")


@pytest.mark.parametrize(
    "value",
    [
        "x", "gt", "20", "2013-13", "2013-02-30", "2013-1-1", "0000", "20130114", "2013-01-14T", "2013-01-14T24:00:00Z",
        "2013-01-14T10", "2013-01-14T10:00:00 02:00", "2013-01-14T10:00:00+25:00", "xx2013", "gt gt2013", "２０１３",
        "2013-W01-1", "now",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["date", "_lastUpdated"])
def test_bad_values(searcher: Searcher, name: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"^{name}: .* is not a date or time") as caught:
        searcher.parse("Observation", (name, value))
    assert caught.value.issues[0].expression == (name,)
