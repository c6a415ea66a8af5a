"""Numbers by their magnitude, so that an index finds those in an interval, and statistics tell how many there are.

The line of numbers is cut into steps: four to a doubling, what is negative is one. A number has the keys of its step
and of its doubling. An interval of numbers is a dozen or two of such keys, whatever its ends. What has one of them may
still lie outside of the interval, as steps are coarse: the keys narrow down, the interval decides.
"""

from collections.abc import Iterator
from math import frexp

from fhirserver.search.keys import ParameterKeys
from fhirserver.search.query.tree import Comparison
from fhirserver.search.types.intervals import Alternatives

_STEPS = 4  # in a doubling, and so in what the keys of the second level are about
_LEVELS = (0, 2)
_SMALLEST, _LARGEST = -10, 20  # powers of two; what is smaller or larger is one step
_NEGATIVE, _FIRST, _LAST = -1, 0, _STEPS * (_LARGEST - _SMALLEST) + 1
_FAR = 4 * _STEPS  # so far apart, it is enough to know the ends by their doublings


def keys_of(keys: ParameterKeys, low: float, high: float) -> Iterator[int]:
    """The keys of a number; of an interval that spans several steps, one for all such."""
    step = _step(low)
    if step != _step(high):
        yield keys.wide
        return
    for level in _LEVELS:
        yield keys.magnitude(level, step >> level)


def keys_among(keys: ParameterKeys, alternatives: Alternatives) -> tuple[int, ...]:
    """Keys of which every number and interval that satisfies one of the alternatives has one; that of presence, if it
    can have any magnitude."""
    hulls = [_hull(tests) for tests in alternatives]
    steps = {step for first, last in hulls for step in range(first, last + 1)}
    if len(steps) == _LAST - _NEGATIVE + 1:
        return (keys.present,)
    return (keys.wide, *(keys.magnitude(level, number) for level, number in _joined(steps)))


def _step(number: float) -> int:
    """The number of the step, which grows with the number."""
    if number < 0:
        return _NEGATIVE
    if number < 2.0**_SMALLEST:
        return _FIRST
    if number >= 2.0**_LARGEST:
        return _LAST
    fraction, exponent = frexp(number)  # number = fraction * 2**exponent, 0.5 <= fraction < 1
    return _STEPS * (exponent - 1 - _SMALLEST) + int((2 * fraction - 1) * _STEPS) + 1


def _hull(tests: tuple[Comparison, ...]) -> tuple[int, int]:
    """The steps that a number can have that satisfies these tests, or some more."""
    first, last = _NEGATIVE, _LAST
    for test in tests:
        step = _step(test.value)
        if test.operator in (">", ">="):
            first = max(first, step)
        else:
            last = min(last, step)
    if last - first >= _FAR:
        first = first // _STEPS * _STEPS if first > _NEGATIVE else first
        last = min(last // _STEPS * _STEPS + _STEPS - 1, _LAST)
    return first, last


def _joined(steps: set[int]) -> Iterator[tuple[int, int]]:
    """The (level, number) that make up these steps: doublings where they are whole."""
    for step in sorted(steps):
        doubling = step // _STEPS
        whole = range(max(doubling * _STEPS, _FIRST), min((doubling + 1) * _STEPS, _LAST + 1))
        if step == _NEGATIVE or not steps.issuperset(whole):
            yield 0, step
        elif step == whole.start:
            yield _LEVELS[1], doubling
