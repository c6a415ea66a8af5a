"""What satisfies a comparison has one of its keys, and few keys are enough."""

import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirserver.search.keys import ParameterKeys
from fhirserver.search.types.intervals import comparisons
from fhirserver.search.types.magnitude import keys_among, keys_of

KEYS = ParameterKeys("Observation", "value-quantity")
COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
BOUNDARIES = [sign * 2.0**power for sign in (-1, 1) for power in (-30, -10, -9, -1, 0, 1, 6, 7, 19, 20, 300)]

bound = st.one_of(st.sampled_from(BOUNDARIES), st.floats(allow_nan=False, allow_infinity=False), st.floats(-300, 300))
interval = st.tuples(bound, st.one_of(st.just(0.0), st.floats(0, 1e6))).map(lambda pair: (pair[0], sum(pair)))
open_interval = st.sampled_from([(float("-inf"), 5.0), (5.0, float("inf")), (float("-inf"), float("inf"))])


@given(st.one_of(interval, open_interval), interval, st.sampled_from(PREFIXES))
def test_what_satisfies_has_a_key(stored: tuple[float, float], asked: tuple[float, float], prefix: str):
    bounds = {"low": stored[0], "high": stored[1]}
    alternatives = comparisons(prefix, *asked)
    if any(all(COMPARE[test.operator](bounds[test.bound], test.value) for test in tests) for tests in alternatives):
        assert not {KEYS.present, *keys_of(KEYS, *stored)}.isdisjoint(keys_among(KEYS, alternatives))


@given(interval, st.sampled_from(PREFIXES))
def test_a_comparison_is_a_few_keys(asked: tuple[float, float], prefix: str):
    assert len(keys_among(KEYS, comparisons(prefix, *asked))) <= 40


@pytest.mark.parametrize(
    ("stored", "prefix", "asked", "why"),
    [
        (99.0, "gt", 300.0, "two doublings below"),
        (99.0, "lt", 30.0, "two doublings above"),
        (99.0, "gt", 105.0, "two steps below, for an interval without an end"),
        (99.0, "eq", 105.0, "two steps below"),
        (60.0, "lt", 60.0, "the step begins where the interval ends"),
        (-99.0, "gt", 0.5, "negative"),
        (99.0, "lt", -0.5, "positive"),
        (0.0, "gt", 0.5, "zero"),
    ],
)
def test_what_is_far_off_has_none(stored: float, prefix: str, asked: float, why: str):
    found = keys_among(KEYS, comparisons(prefix, asked, asked))
    assert set(keys_of(KEYS, stored, stored)).isdisjoint(found), why
