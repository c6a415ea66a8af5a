"""Where in a JSON text the places of issues are. A second pass over the text, made only when there are issues."""

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from fhirserver.fhir.outcomes import Issue

_STEP = re.compile(r"([^.\[\]]+)(?:\[(\d+)\])?")
_SPACE = re.compile(r"[ \t\n\r]*").match
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)  # of numbers, which may be too long, the end is wanted
_LINE_END = re.compile("\n").finditer


@dataclass(slots=True)
class _Wanted:
    """A place that is looked for, or the way to some: what is below it, and where it was found."""

    names: dict[str, "_Wanted"] = field(default_factory=dict)
    items: dict[int, "_Wanted"] = field(default_factory=dict)
    found: int | None = None


def located(issues: Iterable[Issue], data: bytes, within: str = "") -> list[Issue]:
    """The issues with their positions in the text of the resource that they are about.

    Where a place does not exist (what is missing, say) the position is that of the nearest element around it.
    `within`: the place of that resource in the text, such as `Parameters.parameter[0].resource`; empty for the whole
    of it. The text has to be JSON that was parsed before. Issues that are not about that resource stay as they are.
    """
    text = data.decode("utf-8-sig")
    root = _Wanted()
    ways = [(issue, _way(issue, within)) for issue in issues]
    for _, way in ways:
        _enter(root, way)
    start = _SPACE(text).end()  # type: ignore[union-attr]
    root.found = start
    _read(text, start, root)
    ends = [match.start() for match in _LINE_END(text)]
    return [_positioned(issue, way, root, ends) if way else issue for issue, way in ways]


def _way(issue: Issue, within: str) -> list[str | int]:
    """The steps to the first place of an issue: names, and indexes in arrays. The type at its start is none."""
    if not issue.expression:
        return []
    head, _, rest = issue.expression[0].partition(".")
    if not head[:1].isupper():
        return []
    steps: list[str | int] = []
    for name, index in _STEP.findall(f"{within or head}.{rest}"):
        steps.append(name)
        if index:
            steps.append(int(index))
    return steps


def _enter(root: _Wanted, way: Sequence[str | int]) -> None:
    at = root
    for step in way[1:]:
        at = at.names.setdefault(step, _Wanted()) if isinstance(step, str) else at.items.setdefault(step, _Wanted())


def _positioned(issue: Issue, way: Sequence[str | int], root: _Wanted, ends: Sequence[int]) -> Issue:
    at = root
    position = root.found or 0
    for step in way[1:]:
        at = at.names[step] if isinstance(step, str) else at.items[step]
        if at.found is None:
            break
        position = at.found
    line = bisect_right(ends, position - 1)
    return replace(issue, position=(line + 1, position - (ends[line - 1] if line else -1)))


def _read(text: str, at: int, wanted: _Wanted) -> int:
    """Note where the wanted parts of the value at this position are; the position after it."""
    if text[at] == "{" and wanted.names:
        return _read_object(text, at, wanted)
    if text[at] == "[" and wanted.items:
        return _read_array(text, at, wanted)
    return _DECODER.raw_decode(text, at)[1]


def _read_object(text: str, at: int, wanted: _Wanted) -> int:
    at = _after_space(text, at + 1)
    while text[at] != "}":
        start = at
        name, at = _DECODER.raw_decode(text, at)
        at = _after_space(text, _after_space(text, at) + 1)
        # A place in the partner of a primitive (_birthDate) is written without the underscore.
        part = wanted.names.get(name) or (wanted.names.get(name[1:]) if name.startswith("_") else None)
        if part is None:
            at = _DECODER.raw_decode(text, at)[1]
        else:
            if part.found is None:
                part.found = start
            at = _read(text, at, part)
        at = _after_comma(text, at)
    return at + 1


def _read_array(text: str, at: int, wanted: _Wanted) -> int:
    at = _after_space(text, at + 1)
    index = 0
    while text[at] != "]":
        part = wanted.items.get(index)
        if part is None:
            at = _DECODER.raw_decode(text, at)[1]
        else:
            if part.found is None or text[at] == "{":
                part.found = at
            at = _read(text, at, part)
        at = _after_comma(text, at)
        index += 1
    return at + 1


def _after_space(text: str, at: int) -> int:
    return _SPACE(text, at).end()  # type: ignore[union-attr]


def _after_comma(text: str, at: int) -> int:
    at = _after_space(text, at)
    return _after_space(text, at + 1) if text[at] == "," else at
