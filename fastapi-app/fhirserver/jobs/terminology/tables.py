"""Code systems in plain files: a table with a heading, or a CodeSystem resource in JSON."""

from collections.abc import Iterator

from fhirserver.fhir.outcomes import MalformedBody
from fhirserver.fhir.resource_json import parse
from fhirserver.fhir.terminology.code_system import CodeSystem
from fhirserver.fhir.terminology.concepts import Concept
from fhirserver.jobs.terminology.release import CodeSystemRelease, Options, Release, ReleaseError

TABLE = r".*\.(?:csv|tsv)"
RESOURCE = r".*\.json"
_COLUMNS = frozenset(("code", "display", "definition", "parent", "inactive"))


def is_table(release: Release) -> bool:
    """Whether this is one CSV or TSV file."""
    return len(release.names) == 1 and bool(release.find(TABLE))


def is_resource(release: Release) -> bool:
    """Whether this is one JSON file."""
    return len(release.names) == 1 and bool(release.find(RESOURCE))


def read_table(release: Release, options: Options) -> CodeSystemRelease:
    """Columns `code`, `display`, `definition`, `parent` (codes with `|` between them), `inactive` (true or 1).

    All other columns are properties. The URL of the code system, and its version, have to be told.
    """
    if options.system is None:
        raise ReleaseError("a table does not say which code system it has: say the system")
    (name,) = release.names
    header = {
        "resourceType": "CodeSystem",
        "url": options.system,
        **({"version": options.version} if options.version else {}),
        "name": "".join(c if c.isalnum() else "_" for c in options.system.rpartition("/")[2]) or "CodeSystem",
        "status": "active",
        "caseSensitive": True,
        "hierarchyMeaning": "is-a",
        "content": "not-present",
    }
    return CodeSystemRelease(header, _rows(release, name))


def _rows(release: Release, name: str) -> Iterator[Concept]:
    delimiter = "\t" if name.endswith(".tsv") else ","
    for row in release.rows(name, "code", "display", delimiter=delimiter):
        inactive = row.get("inactive", "").casefold() in ("true", "1")
        properties = [
            {"code": column, "valueString": value} for column, value in row.items() if column not in _COLUMNS and value
        ]
        yield Concept(
            row["code"],
            row["display"] or None,
            row.get("definition") or None,
            properties=[*properties, {"code": "inactive", "valueBoolean": True}] if inactive else properties,
            parents=[code for code in row.get("parent", "").split("|") if code],
            inactive=inactive,
        )


def read_resource(release: Release, options: Options) -> CodeSystemRelease:
    """A CodeSystem resource with its concepts."""
    (name,) = release.names
    with release.text(name) as text:
        try:
            resource = parse(text.read().encode(), max_depth=250)
        except MalformedBody as error:
            raise ReleaseError(f"{name}: {error}") from error
    if resource.get("resourceType") != "CodeSystem" or "concept" not in resource:
        raise ReleaseError(f"{name} is not a CodeSystem with concepts")
    code_system = CodeSystem(resource)
    header = {name: value for name, value in code_system.header.items() if name not in ("id", "meta", "text")}
    header |= {"url": options.system or code_system.url, "content": "not-present"}
    if options.version is not None:
        header["version"] = options.version
    if not header["url"]:
        raise ReleaseError(f"{name} has no url: say the system")
    return CodeSystemRelease(header, iter(code_system.concepts()))
