"""Scopes in plain words."""

from collections.abc import Sequence

from fhirserver.access.scopes import Scope, parse_scope
from fhirserver.web.pages.texts import Texts

_VERBS = (("rs", ("read", "search")), ("c", ("create",)), ("u", ("update",)), ("d", ("delete",)))
_TOLD_TOGETHER = {"fhirUser": "openid", "profile": "openid"}


def in_words(scope: str, texts: Texts) -> str | None:
    """What the scope means; None for one that is told with another, or needs no decision."""
    parsed = parse_scope(scope)
    if parsed is None:
        return texts.get(scope)
    return _about_resources(parsed, texts)


def told_with(scope: str, scopes: Sequence[str]) -> str:
    """The scope with which this one is told and decided on: another, if that is asked for too, or itself."""
    other = _TOLD_TOGETHER.get(scope)
    return other if other is not None and other in scopes else scope


def _about_resources(scope: Scope, texts: Texts) -> str:
    verbs = [texts[key] for key, names in _VERBS if scope.permissions & set(names)]
    did = f"{', '.join(verbs[:-1])} {texts['and']} {verbs[-1]}" if len(verbs) > 1 else verbs[0]
    kind = (
        texts["all data"]
        if scope.resource_type == "*"
        else texts.get(f"type {scope.resource_type}", scope.resource_type)
    )
    whose = texts["of the patient"] if scope.context == "patient" else texts["of all"]
    words = f"{did} {kind} {whose}"
    if scope.query:
        query = ", ".join(f"{name}={value}" for name, value in scope.query)
        words += f"; {texts['only'].format(query=query)}"
    return words[0].upper() + words[1:]
