"""If-Match, If-None-Match and If-Modified-Since.

https://hl7.org/fhir/R4/http.html#concurrency and #cread
"""

import re
from datetime import datetime

from fhirserver.fhir.outcomes import InvalidRequest, PreconditionFailed
from fhirserver.interactions.store import StoredResource

_ETAG = re.compile(r'(?:W/)?"([^"]*)"|(\d+)')


def versions_of(header: str, name: str) -> list[str]:
    """The version ids of a list of entity tags: `W/"1", W/"2"` → ["1", "2"]. `InvalidRequest` for another form."""
    versions = []
    for tag in header.split(","):
        match = _ETAG.fullmatch(tag.strip())
        if match is None:
            raise InvalidRequest(f'{name} takes W/"<versionId>", not {tag.strip()[:80]!r}')
        versions.append(match[1] if match[1] is not None else match[2])
    return versions


def require_match(if_match: str | None, current: StoredResource | None) -> None:
    """`PreconditionFailed` unless If-Match is absent or names the current version (`*`: any existing one)."""
    if if_match is None:
        return
    exists = current is not None and not current.deleted
    if if_match.strip() == "*":
        if not exists:
            raise PreconditionFailed("If-Match: * but there is no current version")
        return
    wanted = versions_of(if_match, "If-Match")
    if current is None:
        raise PreconditionFailed("If-Match names a version, but there is no such resource")
    if str(current.version_id) not in wanted:
        raise PreconditionFailed(
            f"If-Match names version {', '.join(wanted)}, but the current version is {current.version_id}"
        )


def require_none_match(if_none_match: str | None, current: StoredResource | None) -> None:
    """`PreconditionFailed` if If-None-Match forbids to write over what exists."""
    if if_none_match is None or current is None or current.deleted:
        return
    if if_none_match.strip() == "*":
        raise PreconditionFailed(f"{current.resource_type}/{current.id} exists already (If-None-Match: *)")
    if str(current.version_id) in versions_of(if_none_match, "If-None-Match"):
        raise PreconditionFailed(f"the current version is {current.version_id} (If-None-Match)")


def is_unchanged(stored: StoredResource, if_none_match: str | None, since: datetime | None) -> bool:
    """Whether a client knows this version: If-None-Match names it (`*`: any) or, without that, it is not newer."""
    if if_none_match is not None:
        return if_none_match.strip() == "*" or (str(stored.version_id) in versions_of(if_none_match, "If-None-Match"))
    return since is not None and stored.last_updated <= since
