"""Numbers and the precision that the way they are written implies.

https://hl7.org/fhir/R4/search.html#number
"""

import re
from decimal import ROUND_HALF_EVEN, Context, Decimal
from math import inf, isfinite, nextafter

_NUMBER = re.compile(r"[+-]?([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]{1,4}))?").fullmatch
_EXACT = Context(prec=400, rounding=ROUND_HALF_EVEN)
_HALVES = tuple(Decimal((0, (5,), -digits - 1)) for digits in range(32))


def implied_range(text: str) -> tuple[float, float]:
    """All values that round to the number as written, as a closed interval.

    Half a unit of the last digit on both sides, the upper end excluded: "100" is [99.5, 100.5). A number with an
    exponent has two significant digits at least, as R4 says of "1e2" that it is [95, 105). Raises ValueError if the
    text is no decimal number or beyond the range of float.
    """
    match = _NUMBER(text)
    if match is None:
        raise ValueError(f"not a number: {text!r}")
    whole, fraction, exponent = match.groups()
    digits = len(fraction) if fraction else 0
    if exponent is not None and len((whole + (fraction or "")).lstrip("0")) < 2:
        digits += 1
    half = _HALVES[digits] if exponent is None and digits < 32 else Decimal((0, (5,), int(exponent or 0) - digits - 1))
    number = Decimal(text)
    low = float(_EXACT.subtract(number, half))
    high = float(_EXACT.add(number, half))
    if not (isfinite(low) and isfinite(high)):
        raise ValueError(f"number out of range: {text[:40]!r}")
    # With many digits the interval is narrower than the floats around it; the number itself is always in.
    return low, max(float(number), nextafter(high, -inf))
