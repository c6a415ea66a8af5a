"""Extensions: a URL that says what they mean, and either a value or further extensions.

https://hl7.org/fhir/R4/extensibility.html
"""

from typing import Any

from fhirserver.fhir.validation.report import Place, Report, shown

_PROPERTIES = ("extension", "modifierExtension")


def check_url(value: Any, place: Place, report: Report) -> None:
    """The check that the URL of an extension is absolute, unless the extension is part of another."""
    url = value.get("url") if type(value) is dict else None
    if type(url) is not str or ":" in url or not url:
        return
    parent = place[0]
    if parent is None or parent[1] not in _PROPERTIES:
        report.add("value", f"url must be an absolute URL, not {shown(url)}", (place, "url", None))
