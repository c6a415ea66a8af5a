"""Every prefix × every precision that is asked × every kind of value that is there.

https://hl7.org/fhir/R4/search.html#date and #prefix. The server's zone is UTC; the present is 2014-01-14, on which
depends what `ap` finds: what overlaps the date widened by a tenth of its distance from the present.
"""

from typing import Any

import pytest

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")

OPEN = {"start": "2013-01-14"}
VALUES: dict[str, dict[str, Any]] = {
    "before": {"effectiveDateTime": "2012-12-31"},
    "year": {"effectiveDateTime": "2013"},
    "month": {"effectiveDateTime": "2013-01"},
    "day": {"effectiveDateTime": "2013-01-14"},
    "second": {"effectiveDateTime": "2013-01-14T10:00:00Z"},
    "instant": {"effectiveInstant": "2013-01-14T10:00:00.5Z"},
    "west": {"effectiveDateTime": "2013-01-14T23:30:00-05:00"},  # 04:30 of the next day in UTC
    "east": {"effectiveDateTime": "2013-01-15T00:30:00+05:30"},  # 19:00 of the day before in UTC
    "closed": {"effectivePeriod": {"start": "2013-01-10", "end": "2013-01-20"}},
    "since": {"effectivePeriod": OPEN},
    "until": {"effectivePeriod": {"end": "2013-01-14"}},
    "events": {"effectiveTiming": {"event": ["2013-01-10", "2013-01-20"]}},
    "bounds": {"effectiveTiming": {"repeat": {"boundsPeriod": OPEN}}},
    "after": {"effectiveDateTime": "2014"},
    "none": {},
}
RESOURCES = {
    name: {"resourceType": "Observation", "status": "final", "code": {"text": name}, **value}
    for name, value in VALUES.items()
}

FACTS = [
    # asked, values, the prefixes that find them, why
    ("2013", "year month day second instant west east closed events", "eq ge le ap", "within the year"),
    ("2013", "before", "ne lt le eb ap", "ends before the year; a tenth of the 13 days since then is a day"),
    ("2013", "after", "ne gt ge sa ap", "starts after it; a tenth of the 13 days since then is a day"),
    ("2013", "since bounds", "ne gt ge ap", "R4: has no end, so part of it is after; it starts within"),
    ("2013", "until", "ne lt le ap", "has no start, so part of it is before; it ends within"),
    ("2013-01", "month day second instant west east closed events", "eq ge le ap", "within the month"),
    ("2013-01", "year", "ne gt ge ap", "most of the year is after, nothing before; no month contains it"),
    ("2013-01", "before", "ne lt le eb ap", "ends before; approximately is a tenth of a year, 35 days"),
    ("2013-01", "after", "ne gt ge sa", "starts after, more than 35 days"),
    ("2013-01", "since bounds", "ne gt ge ap", "part of it is after; it starts within"),
    ("2013-01", "until", "ne lt le ap", "part of it is before; it ends within"),
    ("2013-01-14", "day second instant east", "eq ge le ap", "R4: 'obviously' in the day; zones count"),
    ("2013-01-14", "west", "ne gt ge sa ap", "zones count: that is the 15th in UTC"),
    ("2013-01-14", "year month closed", "ne gt lt ge le ap", "parts of it before and after, so neither contained nor apart"),
    ("2013-01-14", "events", "ne gt lt ge le ap", "R4: only the outer limits of a Timing matter, not each event"),
    ("2013-01-14", "before", "ne lt le eb ap", "two weeks before, approximately is five weeks"),
    ("2013-01-14", "after", "ne gt ge sa", "starts after, by a year"),
    ("2013-01-14", "since bounds", "ne gt ge ap", "it starts with the day, so nothing is before"),
    ("2013-01-14", "until", "ne lt le ap", "its end is the whole day, so nothing is after"),
    ("2013-01-14T10:00", "second instant", "eq ge le ap", "within the minute"),
    ("2013-01-14T10:00", "day", "ne gt lt ge le ap", "R4: 'includes the part of the day before 10am' and that after"),
    ("2013-01-14T10:00", "year month closed events", "ne gt lt ge le ap", "parts of it before and after"),
    ("2013-01-14T10:00", "since until bounds", "ne gt lt ge le ap", "starts or ends with the day, not at ten"),
    ("2013-01-14T10:00", "west east", "ne gt ge sa ap", "04:30 of the next day, 19:00 of the same"),
    ("2013-01-14T10:00", "before", "ne lt le eb ap", "two weeks before"),
    ("2013-01-14T10:00", "after", "ne gt ge sa", "a year after"),
    ("2013-01-14T10:00:00Z", "second instant", "eq ge le ap", "half a second past ten is in the second that starts at ten"),
    ("2013-01-14T10:00:00Z", "year month day closed events", "ne gt lt ge le ap", "parts of it before and after"),
    ("2013-01-14T10:00:00Z", "since until bounds", "ne gt lt ge le ap", "starts or ends with the day, not at ten"),
    ("2013-01-14T10:00:00Z", "west east", "ne gt ge sa ap", "04:30 of the next day, 19:00 of the same"),
    ("2013-01-14T10:00:00Z", "before", "ne lt le eb ap", "two weeks before"),
    ("2013-01-14T10:00:00Z", "after", "ne gt ge sa", "a year after"),
    ("2013-01-14T10:00:00.5Z", "instant", "eq ge le ap", "the same tenth of a second"),
    ("2013-01-14T10:00:00.5Z", "second", "ne gt lt ge le ap", "a second is more than its sixth tenth"),
    ("2013-01-14T10:00:00.5Z", "year month day closed events", "ne gt lt ge le ap", "parts of it before and after"),
    ("2013-01-14T10:00:00.5Z", "since until bounds", "ne gt lt ge le ap", "parts of it before and after"),
    ("2013-01-14T10:00:00.5Z", "west east", "ne gt ge sa ap", "later"),
    ("2013-01-14T10:00:00.5Z", "before", "ne lt le eb ap", "two weeks before"),
    ("2013-01-14T10:00:00.5Z", "after", "ne gt ge sa", "a year after"),
    ("2013-01-14T23:30:00-05:00", "west", "eq ge le ap", "the same second in the same zone"),
    ("2013-01-14T23:30:00-05:00", "day second instant east", "ne lt le eb ap", "earlier: it is 04:30 of the 15th in UTC"),
    ("2013-01-14T23:30:00-05:00", "until", "ne lt le eb ap", "ended with the 14th in UTC"),
    ("2013-01-14T23:30:00-05:00", "year month closed events", "ne gt lt ge le ap", "parts of it before and after"),
    ("2013-01-14T23:30:00-05:00", "since bounds", "ne gt lt ge le ap", "parts of it before and after"),
    ("2013-01-14T23:30:00-05:00", "before", "ne lt le eb ap", "two weeks before"),
    ("2013-01-14T23:30:00-05:00", "after", "ne gt ge sa", "a year after"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "values", "prefixes", "reason"), FACTS)
async def test_facts(find, asked: str, values: str, prefixes: str, reason: str) -> None:
    for prefix in PREFIXES:
        found = set(await find(f"Observation?date={prefix}{asked}"))
        wanted = set(values.split())
        assert found & wanted == (wanted if prefix in prefixes.split() else set()), f"{prefix}: {reason}"


@pytest.mark.parametrize("asked", sorted({row[0] for row in FACTS}))
async def test_all_of_it(find, asked: str) -> None:
    """The table is complete; no prefix means eq; what has no date is never found."""
    told = [value for row in FACTS if row[0] == asked for value in row[1].split()]
    assert sorted([*told, "none"]) == sorted(VALUES)
    assert await find(f"Observation?date={asked}") == await find(f"Observation?date=eq{asked}")
    for prefix in PREFIXES:
        assert "none" not in await find(f"Observation?date={prefix}{asked}")


@pytest.mark.parametrize(
    ("query", "names", "reason"),
    [
        ("date=ge2013-01&date=lt2013-02", "year month day second instant west east closed since events bounds", "each of both holds of some part; until begins before"),
        ("date=sa2012&date=eb2014", "year month day second instant west east closed events", "all of it is between"),
        ("date=2012,2014", "before after", "one of both holds"),
        ("date=eb2013-01-14,sa2013-01-14", "before west after", "entirely before or entirely after"),
        ("date:missing=true", "none", "no value at all"),
        ("date:missing=false&date=ne2013", "before since until bounds after", "ne is for those that have a value"),
        ("_lastUpdated=2014-01-14", " ".join(VALUES), "all were stored at the present of this test"),
        ("_lastUpdated=lt2014-01-14", "", "none before"),
    ],
)  # fmt: skip
async def test_and_or_missing(find, query: str, names: str, reason: str) -> None:
    assert set(await find(f"Observation?{query}")) == set(names.split()), reason
