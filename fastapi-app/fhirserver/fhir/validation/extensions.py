"""Extensions: a URL that says what they mean, and either a value or further extensions.

https://hl7.org/fhir/R4/extensibility.html
"""

from typing import Any

from fhirserver.fhir.validation.properties import PropertyCheck
from fhirserver.fhir.validation.report import Place, Report, shown

_ID = frozenset({"id"})
_PROPERTIES = ("extension", "modifierExtension")


def check_url(value: Any, place: Place, report: Report) -> None:
    """The check that the URL of an extension is absolute, unless the extension is part of another; and of what its
    definition says."""
    url = value.get("url") if type(value) is dict else None
    if type(url) is not str or not url:
        return
    if ":" in url:
        if report.profiles is not None:
            report.profiles.extension(value, url, place)
        return
    parent = place[0]
    if parent is None or parent[1] not in _PROPERTIES:
        report.add("value", f"url must be an absolute URL, not {shown(url)}", (place, "url", None))


def partner_check(name: str) -> PropertyCheck:
    """The check of `_name`, that there is a value or an extension, not an id alone."""
    problem = f"{name} must have a value or an extension (ele-1)"

    def check(value: Any, owner: dict[str, Any], place: Place, report: Report) -> None:
        given = owner.get(name)
        if type(value) is not list:
            if given is None and type(value) is dict and value.keys() == _ID:
                report.add("invariant", problem, (place, name, None))
            return
        for index, item in enumerate(value):
            has_value = type(given) is list and index < len(given) and given[index] is not None
            if not has_value and type(item) is dict and item.keys() == _ID:
                report.add("invariant", problem, (place, name, index))

    return check
