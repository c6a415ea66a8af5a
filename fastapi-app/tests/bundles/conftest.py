"""Fixtures of the tests of Bundles without a server."""

from collections.abc import Callable
from typing import Any

import pytest

from fhirserver.bundles.entries import EntryRequest, read_entries

BASE_URL = "http://here/fhir"


@pytest.fixture
def entry_of() -> Callable[..., EntryRequest]:
    """Reads one entry of a Bundle that makes sense."""

    def entry_of(
        method: str, url: str, resource: Any = None, full_url: str | None = None, **request: Any
    ) -> EntryRequest:
        made: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
        if resource is not None:
            made["resource"] = resource
        if full_url is not None:
            made["fullUrl"] = full_url
        [found] = read_entries({"entry": [made]}, BASE_URL)
        assert isinstance(found, EntryRequest), found
        return found

    return entry_of
