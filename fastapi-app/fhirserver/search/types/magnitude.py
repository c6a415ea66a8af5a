"""Numbers by their magnitude, so that an index finds those in an interval, and statistics tell how many there are.

The line of numbers is cut into steps, sixteen to a doubling; what is negative is one. A number has the keys of its
step, of its quarter of a doubling and of its doubling. An interval of numbers is some twenty of such keys, whatever its
ends. What has one of them may still lie outside of the interval, by a step: the keys narrow down, the interval decides.
"""

from collections.abc import Iterator
from math import frexp, inf, nextafter

from fhirserver.search.keys import ParameterKeys
from fhirserver.search.query.tree import Comparison
from fhirserver.search.types.intervals import Alternatives

_STEPS = 16  # in a doubling
_LEVELS = (2, 4)  # of the keys of several steps: 2**2, a quarter of a doubling, and 2**4
_SMALLEST, _LARGEST = -10, 20  # powers of two; what is smaller or larger is one step
_NEGATIVE, _SMALL, _FIRST, _LARGE = -2, -1, 0, _STEPS * (_LARGEST - _SMALLEST)


def keys_of(keys: ParameterKeys, low: float, high: float) -> Iterator[int]:
    """The keys of a number; of an interval that spans several steps, one for all such."""
    step = _step(low)
    if step != _step(high):
        yield keys.wide
        return
    yield keys.magnitude(0, step)
    if _FIRST <= step < _LARGE:
        for level in _LEVELS:
            yield keys.magnitude(level, step >> level)


def keys_among(keys: ParameterKeys, alternatives: Alternatives) -> tuple[int, ...]:
    """Keys of which every number and interval that satisfies one of the alternatives has one; that of presence, if it
    can have any magnitude."""
    hulls = [_hull(tests) for tests in alternatives]
    steps = {step for first, last in hulls for step in range(first, last + 1)}
    if len(steps) == _LARGE - _NEGATIVE + 1:
        return (keys.present,)
    return (keys.wide, *(keys.magnitude(level, number) for level, number in _joined(steps)))


def _step(number: float) -> int:
    """The number of the step, which grows with the number."""
    if number < 0:
        return _NEGATIVE
    if number < 2.0**_SMALLEST:
        return _SMALL
    if number >= 2.0**_LARGEST:
        return _LARGE
    fraction, exponent = frexp(number)  # number = fraction * 2**exponent, 0.5 <= fraction < 1
    return _STEPS * (exponent - 1 - _SMALLEST) + int((2 * fraction - 1) * _STEPS)


def _hull(tests: tuple[Comparison, ...]) -> tuple[int, int]:
    """The steps that a number can have that satisfies these tests, or some more."""
    first, last = _NEGATIVE, _LARGE
    for test in tests:
        if test.operator in (">", ">="):
            first = max(first, _step(test.value))
        else:
            below = nextafter(test.value, -inf) if test.operator == "<" else test.value
            last = min(last, _step(below))
    return first, last


def _joined(steps: set[int]) -> Iterator[tuple[int, int]]:
    """The (level, number) that make up these steps: the highest levels that are whole."""
    rest = set(steps)
    for level in reversed(_LEVELS):
        for number in sorted({step >> level for step in rest if _FIRST <= step < _LARGE}):
            whole = range(number << level, (number + 1) << level)
            if rest.issuperset(whole):
                yield level, number
                rest.difference_update(whole)
    yield from ((0, step) for step in sorted(rest))
