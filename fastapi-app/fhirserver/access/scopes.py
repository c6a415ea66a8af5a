"""SMART scopes for resources: `patient/Observation.rs?category=laboratory`, and the older `user/*.read`.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, cast
from urllib.parse import urlencode

from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.search.query.parameters import query_parameters

Context = Literal["patient", "user", "system"]
Permission = Literal["create", "read", "update", "delete", "search"]
"""`read` covers vread and the history of an instance, `search` the history of a type and of the system, too."""

LONGEST = 16384

_LETTERS: dict[str, Permission] = {"c": "create", "r": "read", "u": "update", "d": "delete", "s": "search"}
_FORMER = {"read": "rs", "write": "cud", "*": "cruds"}
_SCOPE = re.compile(r"(patient|user|system)/([A-Z][A-Za-z]{0,63}|\*)\.([a-z]{1,5}|\*)(?:\?(.*))?", re.DOTALL)
_IN_ORDER = re.compile("c?r?u?d?s?")


class InvalidScope(ValueError):
    """A scope that makes no sense; the text says why."""


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope: `resource_type` is `*` for all; `query` are the search parameters that its resources have to match."""

    context: Context
    resource_type: str
    permissions: frozenset[Permission]
    query: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        letters = "".join(letter for letter, permission in _LETTERS.items() if permission in self.permissions)
        query = f"?{urlencode(self.query, safe=':,|/$')}" if self.query else ""
        return f"{self.context}/{self.resource_type}.{letters}{query}"

    def allows(self, permission: Permission, resource_type: str) -> bool:
        """Whether the scope is about this permission on this type, for some resources at least."""
        if permission not in self.permissions or (resource_type in APPEND_ONLY and permission in ("update", "delete")):
            return False
        return self.resource_type == resource_type or (self.resource_type == "*" and resource_type not in NAMED_ONLY)


NAMED_ONLY = frozenset({"AuditEvent"})
"""Types that `*` does not stand for: who may see them is said by name."""
APPEND_ONLY = frozenset({"AuditEvent"})
"""Types of which nobody changes or deletes anything, whatever the scope."""


@lru_cache(maxsize=4096)
def parse_scope(text: str) -> Scope | None:
    """The scope; None if it is not about resources (`openid`, `launch/patient`). InvalidScope if it is, but wrongly."""
    if text.partition("/")[0] not in ("patient", "user", "system"):
        return None
    match = _SCOPE.fullmatch(text)
    if match is None:
        raise InvalidScope(f"{text[:100]!r} is not of the form context/Type.cruds?parameter=value")
    context, resource_type, letters, query = match.groups()
    letters = _FORMER.get(letters, letters)
    if not _IN_ORDER.fullmatch(letters):
        raise InvalidScope(f"{text[:100]!r}: permissions are some of c, r, u, d, s, in this order")
    try:
        items = tuple(query_parameters(query)) if query is not None else ()
    except InvalidRequest as error:
        raise InvalidScope(f"{text[:100]!r}: {error}") from error
    if query is not None and not items:
        raise InvalidScope(f"{text[:100]!r}: there is nothing after the question mark")
    permissions = frozenset(_LETTERS[letter] for letter in letters)
    return Scope(cast(Context, context), resource_type, permissions, items)


def parse_scopes(text: str) -> tuple[Scope, ...]:
    """The scopes about resources among these, which are separated by blanks. InvalidScope for the first wrong one."""
    if len(text) > LONGEST or not (text.isascii() and text.isprintable()):
        raise InvalidScope(f"scopes have up to {LONGEST} printable characters (ASCII) together")
    return tuple(scope for item in text.split() if (scope := parse_scope(item)) is not None)


def understood(texts: Iterable[str]) -> tuple[Scope, ...]:
    """Those of these scopes that are about resources and make sense: what can't be read grants nothing."""
    found = []
    for text in texts:
        try:
            scope = parse_scope(text)
        except InvalidScope:
            continue
        if scope is not None:
            found.append(scope)
    return tuple(found)
