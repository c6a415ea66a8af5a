"""Prefixes as comparisons of intervals: the one asked for, [low, high], and those of the resource.

https://hl7.org/fhir/R4/search.html#prefix
"""

from fhirserver.search.query.tree import Comparison

Alternatives = tuple[tuple[Comparison, ...], ...]


def comparisons(prefix: str, low: float, high: float) -> Alternatives:
    """What the bounds of a resource's interval have to be like. For `ap` the interval is widened already."""
    within = (Comparison("low", ">=", low), Comparison("high", "<=", high))
    above = (Comparison("high", ">", high),)
    below = (Comparison("low", "<", low),)
    match prefix:
        case "eq":
            return (within,)
        case "ne":
            return (below, above)
        case "gt":
            return (above,)
        case "lt":
            return (below,)
        case "ge":
            return (above, within)
        case "le":
            return (below, within)
        case "sa":
            return ((Comparison("low", ">", high),),)
        case "eb":
            return ((Comparison("high", "<", low),),)
    return ((Comparison("low", "<=", high), Comparison("high", ">=", low)),)
