"""Resources, Bundle entries and ids that the tests of the API send."""

import random
from typing import Any

URN = "urn:uuid:00000000-0000-4000-8000-00000000000"
SYSTEM = "urn:test:api"


def unique() -> str:
    """A word that nothing stored contains: an id, an identifier or a tag."""
    return f"t-{random.getrandbits(60)}"


def patient(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **elements}


def named(value: str, **elements: Any) -> dict[str, Any]:
    """A patient with an identifier, which `criteria` find."""
    return patient(identifier=[{"system": SYSTEM, "value": value}], **elements)


def criteria(value: str) -> str:
    return f"identifier={SYSTEM}|{value}"


def tagged(tag: str, **elements: Any) -> dict[str, Any]:
    """A patient with a tag."""
    return patient(meta={"tag": [{"system": SYSTEM, "code": tag}]}, **elements)


def observation(subject: str | None = None, **elements: Any) -> dict[str, Any]:
    made = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    if subject is not None:
        made["subject"] = {"reference": subject}
    return {**made, **elements}


def basic(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Basic", "code": {"text": "x"}, **elements}


def entry(method: str, url: str, resource: Any = None, full_url: str | None = None, **request: str) -> dict[str, Any]:
    made: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    if full_url is not None:
        made["fullUrl"] = full_url
    return made if resource is None else made | {"resource": resource}


def bundle(*entries: Any, kind: str = "transaction") -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def link(searchset: dict[str, Any], relation: str) -> str | None:
    """The URL of a link of a Bundle."""
    return next((item["url"] for item in searchset["link"] if item["relation"] == relation), None)


def ids(searchset: dict[str, Any], mode: str = "match") -> list[str]:
    """The ids of the matches, or of what is included."""
    return [item["resource"]["id"] for item in searchset.get("entry", []) if item["search"]["mode"] == mode]
