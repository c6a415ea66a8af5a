"""HTML put together of elements. Text is escaped unless it is HTML already, so that nothing can be forgotten."""

from html import escape

_VOID = frozenset(("input", "meta", "link", "br"))


class Html(str):
    """Text that is HTML."""

    __slots__ = ()


def tag(kind: str, /, *content: str | None, **attributes: str | bool | None) -> Html:
    """An element. `class_` and `for_` are `class` and `for`, `aria_label` is `aria-label`; None is left out."""
    written = "".join(
        f" {_name(key)}" if value is True else f' {_name(key)}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if kind in _VOID:
        return Html(f"<{kind}{written}>")
    return Html(f"<{kind}{written}>{joined(*content)}</{kind}>")


def joined(*content: str | None) -> Html:
    """Several pieces, one after the other."""
    return Html("".join(one if isinstance(one, Html) else escape(one) for one in content if one is not None))


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")
