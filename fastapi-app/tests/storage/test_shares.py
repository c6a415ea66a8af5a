"""What statistics tell of a search, and where they cut the order of ids."""

import pytest

from fhirserver.search.query.tree import And, Chain, KeyMatch, Node, Not, Or, RangeMatch, StringMatch, When
from fhirserver.search.request import SearchRequest
from fhirserver.storage.compile.shares import Statistics, at_most, likely
from fhirserver.storage.compile.ways import dates

STATISTICS = Statistics(10_000.0, {"Patient": 0.1}, {1: 0.5, 2: 0.1}, 0.001, [f"id{number:02}" for number in range(11)])
HALF, TENTH, RARE = KeyMatch("half", (1,)), KeyMatch("tenth", (2,)), KeyMatch("rare", (7,))
TEXT, LED = StringMatch("name", "contains", "x"), Chain("led", 5, ())


@pytest.mark.parametrize(
    ("node", "share", "most", "why"),
    [
        (HALF, 0.5, 0.5, "one of the most common keys"),
        (RARE, 0.001, 0.001, "not one of these"),
        (KeyMatch("any", (1, 2, 7)), 0.601, 0.601, "one of several keys"),
        (StringMatch("name", "starts", "xy", (2,)), 0.1, 0.1, "the key of its beginning"),
        (And((HALF, TENTH)), 0.05, 0.1, "independent of each other; at most as many as the rarer"),
        (Or((HALF, TENTH)), 0.6, 0.6, "one or the other"),
        (And(()), 1.0, 1.0, "everything"),
        (Or(()), 0.0, 0.0, "nothing"),
        (TEXT, None, 1.0, "nothing tells"),
        (And((TENTH, TEXT)), None, 0.1, "nothing tells of one, but the other limits it"),
        (Or((TENTH, LED)), None, 1.0, "nothing tells of one, and nothing limits it"),
        (Not(TENTH), None, 1.0, "nothing tells what is not"),
    ],
)
def test_shares(node: Node, share: float | None, most: float, why: str):
    assert likely(node, STATISTICS) == (share if share is None else pytest.approx(share)), why
    assert at_most(node, STATISTICS) == pytest.approx(most), why


@pytest.mark.parametrize(
    ("position", "part", "down", "bound", "why"),
    [
        (None, 0.01, True, "id09", "a tenth is the least there is"),
        (None, 0.2, True, "id08", "two tenths from the end"),
        (None, 0.11, True, "id08", "so much at least"),
        (None, 0.95, True, None, "nearly all"),
        (None, 0.2, False, "id02", "two tenths from the beginning"),
        (None, 0.95, False, None, "nearly all"),
        ("id05x", 0.1, True, "id04", "one whole tenth beyond that of the position"),
        ("id05", 0.1, True, "id03", "the position is the beginning of the sixth"),
        ("id05x", 0.1, False, "id07", "one whole tenth beyond that of the position, upwards"),
        ("id01", 0.1, True, None, "there is no more"),
        ("zz", 0.1, False, None, "beyond all"),
        ("zz", 0.1, True, "id09", "beyond all, and back"),
    ],
)
def test_bounds(position: str | None, part: float, down: bool, bound: str | None, why: str):
    assert STATISTICS.bound(position, part, down=down) == bound, why


DATE = RangeMatch("date", 3, (), (1,), When(0.0, 9.0, 0.0, 8, 9))
MANY = Statistics(1e6, {"Patient": 0.1}, {1: 0.5, 2: 0.1}, 1e-5, STATISTICS.ids)


@pytest.mark.parametrize(
    ("tree", "statistics", "looks", "why"),
    [
        (DATE, MANY, True, "half of all rows may match"),
        (And((TENTH, DATE)), MANY, True, "a tenth"),
        (And((RARE, DATE)), MANY, False, "ten rows: they are fetched, whatever their dates are"),
        (TENTH, MANY, False, "no date is asked for"),
        (DATE, Statistics(1e6, {}, {1: 0.5, 8: 0.1}, 1e-5, []), False, "much lasts for days"),
    ],
)
def test_dates_are_looked_at_where_that_helps(tree: Node, statistics: Statistics, looks: bool, why: str):
    assert (dates(SearchRequest("Observation", tree), statistics) is not None) == looks, why
