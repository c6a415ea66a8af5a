"""Which of the scopes that are asked for can be given. Pure.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from fhirserver.access.scopes import NAMED_ONLY, Scope, parse_scope

OPENID = ("openid", "fhirUser", "profile")
LAUNCH = ("launch", "launch/patient", "launch/encounter")
REFRESH = ("offline_access", "online_access")
OTHERS = (*OPENID, *LAUNCH, *REFRESH)
"""The scopes that are not about resources and mean something here."""


def common(asked: Scope, limit: Scope) -> Scope | None:
    """What both allow, in the context of the one that is asked for; None if that is nothing."""
    permissions = asked.permissions & limit.permissions
    narrower = asked if limit.resource_type == "*" else limit
    if not permissions or not {asked.resource_type, limit.resource_type} <= {narrower.resource_type, "*"}:
        return None
    if narrower.resource_type in NAMED_ONLY and asked.resource_type != limit.resource_type:
        return None
    query = (*asked.query, *(item for item in limit.query if item not in asked.query))
    return Scope(asked.context, narrower.resource_type, permissions, query)


def narrowed(asked: Sequence[str], limits: Iterable[Scope], *, any_context: bool = False) -> list[str]:
    """Of scopes about resources what the limits allow: as they are asked for where that is all of it, else less.

    A limit is about scopes of its own context, or of any.
    """
    limits = tuple(limits)
    given: dict[str, None] = {}
    for text in asked:
        scope = parse_scope(text)
        if scope is None:
            continue
        merged: dict[Scope, Scope] = {}
        for limit in limits:
            if (any_context or limit.context == scope.context) and (part := common(scope, limit)) is not None:
                same = replace(part, permissions=frozenset())
                before = merged.get(same, same)
                merged[same] = replace(part, permissions=before.permissions | part.permissions)
        parts = list(merged.values())
        given |= dict.fromkeys([text] if scope in parts else map(str, parts))
    return list(given)
