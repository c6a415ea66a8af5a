"""Every official R4 example, and every definition in the same package, is stored and read back equal."""

import csv
from pathlib import Path
from typing import Any

import pytest
from fhir.test_examples import WRONG  # HL7's own mistakes, each with its reason

from fhirserver.fhir.outcomes import FhirError
from fhirserver.fhir.resource_json import parse, serialize
from fhirserver.interactions.read import read
from fhirserver.interactions.update import update

# The bundles of all definitions hold what the single files hold; the largest are over the limit of a body.
_KINDS = ("instance", "core-definition")


@pytest.fixture(scope="session")
def listed(shared: Path) -> list[dict[str, str]]:
    with (shared / "fhir-r4" / "examples-index.csv").open() as file:
        return [row for row in csv.DictReader(file) if row["kind"] in _KINDS]


async def test_every_example_comes_back_as_it_went_in(server, call, listed, example_files):
    kinds = {"instance": 0, "core-definition": 0}
    wrong = []
    for row in listed:
        text = (example_files / row["file"]).read_bytes()
        resource = parse(text)
        resource_type, id = resource["resourceType"], resource["id"]
        if row["file"] in WRONG:
            with pytest.raises(FhirError):
                await update(server, call, resource_type, id, resource)
            kinds[row["kind"]] += 1
            continue
        await update(server, call, resource_type, id, resource)
        stored = parse((await read(server, call, resource_type, id)).live)
        _as_given(stored, resource)
        # Compared as text with sorted members, so that 1.0 and 1.00 are different.
        if _canonical(stored) != _canonical(resource):
            wrong.append(row["file"])
        kinds[row["kind"]] += 1
    assert wrong == []
    assert kinds["instance"] == 713
    assert kinds["core-definition"] > 4500


def _as_given(stored: dict[str, Any], resource: dict[str, Any]) -> None:
    """Take back the version and the time that the server set."""
    given = resource.get("meta", {})
    for name in ("versionId", "lastUpdated"):
        del stored["meta"][name]
        if name in given:
            stored["meta"][name] = given[name]
    if "meta" not in resource:
        assert stored.pop("meta") == {}


def _canonical(value: object) -> bytes:
    def ordered(item: object) -> object:
        if isinstance(item, dict):
            return {name: ordered(item[name]) for name in sorted(item)}
        if isinstance(item, list):
            return [ordered(each) for each in item]
        return item

    return serialize(ordered(value))
