"""Server and oracle agree."""

from collections.abc import Callable

import pytest
from hypothesis import strategies as st

from .both import Both
from .queries import Queries, Query

FEATURES: dict[str, tuple[float, Callable[[Queries], st.SearchStrategy[Query]]]] = {
    "string": (0.07, lambda queries: queries.of_kind("string", "", "exact", "contains", "text")),
    "token": (0.07, lambda queries: queries.of_kind("token", "", "not", "text", "of-type")),
    "reference": (0.05, lambda queries: queries.of_kind("reference", "", "[type]", "identifier", "above", "below")),
    "date": (0.1, lambda queries: queries.of_kind("date")),
    "number": (0.05, lambda queries: queries.of_kind("number")),
    "quantity": (0.1, lambda queries: queries.of_kind("quantity")),
    "uri": (0.03, lambda queries: queries.of_kind("uri", "", "above", "below")),
    "composite": (0.08, lambda queries: queries.of_kind("composite")),
    "missing": (
        0.03,
        lambda queries: st.one_of(
            [queries.of_kind(kind, "missing") for kind in ("string", "token", "reference", "date", "quantity", "uri")]
        ),
    ),
    "and, or": (0.1, lambda queries: queries.mixed()),
    "chains": (0.08, lambda queries: queries.chained()),
    "_has": (0.08, lambda queries: queries.reversed()),
    "_text, _list, near": (0.05, lambda queries: queries.special()),
    "_filter": (0.06, lambda queries: queries.filtered()),
    "several types": (0.04, lambda queries: queries.of_types()),
    "compartments": (0.04, lambda queries: queries.in_compartments()),
    "all together": (0.08, lambda queries: queries.mixed(linked=True)),
}
"""What the server supports: its share of all cases, and the queries."""


@pytest.mark.parametrize("feature", FEATURES)
async def test_matches(both: Both, feature: str) -> None:
    share, strategy = FEATURES[feature]
    await both.cases(strategy(both.queries), share, both.matches_agree)
    _can_fail(both)


async def test_single_resources(both: Both) -> None:
    """Of these Hypothesis shrinks the resource too."""
    await both.cases(both.single(), 0.05, both.single_agrees)
    _can_fail(both)


async def test_order(both: Both) -> None:
    await both.cases(both.queries.sorted(), 0.04, both.order_agrees)
    _can_fail(both)


async def test_includes(both: Both) -> None:
    await both.cases(both.queries.including(), 0.04, both.includes_agree)
    _can_fail(both)


def _can_fail(both: Both) -> None:
    assert both.counted["some"] > sum(both.counted.values()) / 10, f"too few queries find anything: {both.counted}"
