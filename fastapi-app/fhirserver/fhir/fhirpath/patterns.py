"""Regular expressions in time linear in the text, whatever the pattern: RE2.

https://github.com/google/re2/wiki/Syntax; look-around and back-references are what it does not have.
"""

import re
from functools import lru_cache
from typing import Any

import re2

_LONGEST = 2000
_OPTIONS = re2.Options()
_OPTIONS.dot_nl = True
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 1 << 20
_GROUP = re.compile(r"\\\$|\$(?:\{(\w+)\}|(\d))")


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> Any:
    """A pattern in single line mode. Raises ValueError with the reason if it is none, too long or too large."""
    if len(pattern) > _LONGEST:
        raise ValueError(f"the regular expression is longer than {_LONGEST} characters")
    try:
        return re2.compile(pattern, _OPTIONS)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"not a regular expression: {text}") from None


def substitute(pattern: str, text: str, substitution: str) -> str:
    """The text with all matches replaced; `$1` and `${name}` stand for groups. Raises ValueError."""
    compiled = compile_pattern(pattern)
    names = compiled.groupindex
    parts, end = [], 0
    for match in compiled.finditer(text):
        parts.append(text[end : match.start()])
        parts.append(_GROUP.sub(lambda group, found=match: _group(group, found, names), substitution))  # type: ignore[misc]
        end = match.end()
    return "".join((*parts, text[end:]))


def _group(reference: "re.Match[str]", match: Any, names: dict[str, int]) -> str:
    if reference[0] == "\\$":
        return "$"
    wanted = reference[1] or reference[2]
    number = int(wanted) if wanted.isdigit() else names.get(wanted, -1)
    if not 0 <= number <= match.re.groups:
        raise ValueError(f"the regular expression has no group {wanted}")
    return match[number] or ""
