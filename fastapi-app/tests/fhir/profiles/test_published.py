"""The snapshots made here beside those that HL7 published, made by several versions of its publisher."""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhirserver.fhir.outcomes import InvalidResource
from fhirserver.fhir.profiles.built_in import BuiltInStructures
from fhirserver.fhir.profiles.snapshots import with_snapshot

Json = dict[str, Any]

CHILDREN = "what is said of all slices is repeated in each slice here; the publisher of the time did not"
CLOSED = "`valueQuantity` that may be absent leaves other types open here, as newer publishers have it"
IN_PLACE = "`valueString` within a slice narrows value[x] itself here, as newer publishers have it"
ROOT = "the publisher took what the extension says of its root"
OTHER_PACKAGE = "the base is in another package, which is not at hand"

PACKAGES = {
    "us-core-311.tar.xz": {
        "head-occipital-frontal-circumference-percentile": CLOSED,
        "pediatric-bmi-for-age": CLOSED,
        "pediatric-weight-for-height": CLOSED,
        "us-core-ethnicity": IN_PLACE,
        "us-core-goal": CLOSED,
        "us-core-organization": CHILDREN,
        "us-core-patient": "the publisher lost the binding that the differential gives an extension",
        "us-core-practitioner": CHILDREN,
        "us-core-provenance": CHILDREN,
        "us-core-race": IN_PLACE,
    },
    "us-core-610.tar.xz": {
        "us-core-documentreference": CHILDREN,
        "us-core-organization": CHILDREN,
        "us-core-practitioner": CHILDREN,
        "us-core-provenance": CHILDREN,
        "us-core-questionnaireresponse": OTHER_PACKAGE,
    },
    "us-core-700.tar.xz": {
        "us-core-average-blood-pressure": CHILDREN,
        "us-core-documentreference": CHILDREN,
        "us-core-organization": CHILDREN,
        "us-core-patient": ROOT,
        "us-core-practitioner": CHILDREN,
        "us-core-provenance": CHILDREN,
        "us-core-questionnaireresponse": OTHER_PACKAGE,
    },
    "ipa_v100.tar.xz": {},
    "hl7.fhir.uv.ips-2.0.0.tgz": {
        "Observation-results-laboratory-pathology-uv-ips": "the publisher lost the profile of the type of all slices",
        "Observation-results-radiology-uv-ips": "the same, and a constraint on all slices",
    },
}
"""The profiles whose snapshots are not the same, and why, by package."""


@pytest.fixture(scope="module")
def built_in() -> BuiltInStructures:
    return BuiltInStructures.load()


@pytest.mark.parametrize("package", PACKAGES)
def test_snapshots_are_those_that_were_published(
    package: str, shared: Path, built_in: BuiltInStructures, capsys: pytest.CaptureFixture[str]
) -> None:
    path = shared / "packages" / package
    if not path.is_file():
        pytest.skip(f"SKIPPED FOR LACK OF DATA: there is no {path}")
    published = {structure["url"]: structure for structure in _structures(path)}

    def lookup(url: str) -> Json | None:
        own = published.get(url.partition("|")[0])
        return _bare(own) if own is not None else built_in.structure(url)

    elements = same = 0
    different: dict[str, list[str]] = {}
    for structure in published.values():
        expected = {item["id"]: item for item in structure["snapshot"]["element"]}
        try:
            made = with_snapshot(_bare(structure), lookup)["snapshot"]["element"]
        except InvalidResource as error:
            different[structure["id"]] = [str(error)]
            continue
        found = {item["id"]: item for item in made}
        wrong = {id for id in expected.keys() | found.keys() if _rules(expected, id) != _rules(found, id)}
        in_order = [id for id in found if id in expected] == [id for id in expected if id in found]
        elements += len(expected)
        same += len(expected.keys() - wrong)
        if wrong or not in_order:
            different[structure["id"]] = sorted(wrong) or ["order"]
    with capsys.disabled():
        alike = len(published) - len(different)
        print(f"\n{package}: {same} of {elements} elements, {alike} of {len(published)} snapshots are the same")
        for id, places in sorted(different.items()):
            print(
                f"  {id}: {PACKAGES[package].get(id, 'NO REASON')} ({', '.join(places[:4])}{', …' * (len(places) > 4)})"
            )
    assert different.keys() == PACKAGES[package].keys()
    assert same >= 0.97 * elements


def _structures(path: Path) -> Iterator[Json]:
    with tarfile.open(path) as archive:
        for member in archive:
            name = member.name.rpartition("/")[2]
            if name.startswith("StructureDefinition-") and name.endswith(".json"):
                file = archive.extractfile(member)
                structure = json.load(file) if file is not None else {}
                if structure.get("derivation") == "constraint" and structure["kind"] != "logical":
                    yield structure


def _bare(structure: Json) -> Json:
    return {name: value for name, value in structure.items() if name != "snapshot"}


def _rules(elements: dict[str, Json], id: str) -> Json | None:
    """What an element demands; URLs of R4 itself without their version, which newer publishers add."""
    element = elements.get(id)
    if element is None:
        return None
    slicing = element.get("slicing", {})
    reference = element.get("contentReference", "").partition("#")[2]
    text = json.dumps(
        {
            **{name: element.get(name) for name in ("path", "min", "max", "sliceName")},
            "mustSupport": element.get("mustSupport", False),
            "contentReference": reference,
            "values": {name: value for name, value in element.items() if name.startswith(("fixed", "pattern"))},
            "binding": [element.get("binding", {}).get(name) for name in ("strength", "valueSet")],
            "constraint": sorted({item["key"] for item in element.get("constraint", ())}),
            "slicing": [slicing.get("discriminator"), slicing.get("rules"), slicing.get("ordered", False)],
            "type": sorted(
                [item.get("code", ""), sorted(item.get("profile", ())), sorted(item.get("targetProfile", ()))]
                for item in element.get("type", ())
            ),
        }
    )
    rules: Json = json.loads(text.replace("|4.0.1", ""))
    rules["type"] = sorted([code, sorted(profiles), sorted(targets)] for code, profiles, targets in rules["type"])
    return rules
