"""Which StructureDefinition a canonical URL stands for."""

import json
from decimal import Decimal
from typing import Any

import pytest

from fhirserver.fhir.profiles.built_in import BuiltInStructures
from fhirserver.fhir.profiles.snapshots import STRUCTURES
from fhirserver.fhir.profiles.structures import Packed, Structures, pack

Json = dict[str, Any]


@pytest.fixture(scope="module")
def built_in() -> BuiltInStructures:
    return BuiltInStructures.load()


def profile(version: str | None, url: str = "http://a.b/p", base: str = STRUCTURES + "Patient", **more: Any) -> Json:
    found = {
        "resourceType": "StructureDefinition",
        "url": url,
        "kind": "resource",
        "type": "Patient",
        "status": "active",
        "derivation": "constraint",
        "baseDefinition": base,
        "differential": {"element": [{"path": "Patient", "definition": "for readers"}]},
        **more,
    }
    return found if version is None else found | {"version": version}


def packed(*structures: Json) -> list[Packed]:
    return [found for structure in structures if (found := pack(json.dumps(structure).encode())) is not None]


STORED = packed(
    profile("1.9.0"),
    profile("1.10.0"),
    profile("2.0.0", status="retired"),
    profile(None, "http://a.b/none"),
    profile("4.0.2", STRUCTURES + "vitalsigns"),
    profile("3.0.0", STRUCTURES + "patient-birthPlace"),
    profile("9.0.0", STRUCTURES + "Patient"),
    profile("1.0.0", "http://a.b/orphan", "http://a.b/nobody"),
    profile("1.0.0", "http://a.b/broken", differential={"element": [{"path": "Patient", "type": ["x"]}]}),
)

FOUND: list[tuple[str, str | None, str]] = [
    ("http://a.b/p", "1.10.0", "the newest that is not retired"),
    ("http://a.b/p|1.9.0", "1.9.0", "the version that is asked for"),
    ("http://a.b/p|2.0.0", "2.0.0", "also a retired one"),
    ("http://a.b/p|1.9", None, "no part of a version"),
    ("http://a.b/none", "-", "one without a version"),
    ("http://a.b/none|1", None, "which has no version"),
    ("http://a.b/nobody", None, "unknown"),
    (STRUCTURES + "vitalsigns", "4.0.2", "newer than that of R4"),
    (STRUCTURES + "patient-birthPlace", "4.0.1", "R4's own is newer"),
    (STRUCTURES + "patient-birthPlace|3.0.0", "3.0.0", "unless it is asked for"),
    (STRUCTURES + "Patient", "4.0.1", "R4's own types can't be replaced"),
    ("http://a.b/orphan", None, "a profile whose base is not known"),
    ("http://a.b/broken", None, "a profile that was stored unchecked"),
]


@pytest.mark.parametrize(("canonical", "version", "reason"), FOUND, ids=[case[-1] for case in FOUND])
def test_which_one_is_found(built_in: BuiltInStructures, canonical: str, version: str | None, reason: str) -> None:
    found = Structures(built_in, STORED).structure(canonical)
    assert (found.get("version", "-") if found is not None else None) == version
    assert found is None or found["snapshot"]["element"]


def test_why_one_can_not_be_used(built_in: BuiltInStructures) -> None:
    structures = Structures(built_in, STORED)
    for url in ("http://a.b/orphan", "http://a.b/broken", "http://a.b/nobody"):
        structures.structure(url)
    assert "http://a.b/nobody is not known" in str(structures.problem("http://a.b/orphan"))
    assert "no valid" in str(structures.problem("http://a.b/broken"))
    assert structures.problem("http://a.b/nobody") is None


def test_the_profiles_of_each_type(built_in: BuiltInStructures) -> None:
    assert Structures(built_in, STORED[:4]).profiles() == {"Patient": ["http://a.b/none", "http://a.b/p"]}


def test_decimals_stay_exact(built_in: BuiltInStructures) -> None:
    pattern = b'{"path": "Observation.value[x]", "patternQuantity": {"value": 1.10}}'
    found = pack(
        b'{"url": "http://a.b/d", "type": "Observation", "kind": "resource", "derivation": "constraint",'
        b'"baseDefinition": "http://hl7.org/fhir/StructureDefinition/Observation",'
        b'"differential": {"element": [' + pattern + b"]}}"
    )
    assert found is not None
    structure = Structures(built_in, [found]).structure("http://a.b/d")
    assert structure is not None
    values = [
        item["patternQuantity"]["value"] for item in structure["snapshot"]["element"] if "patternQuantity" in item
    ]
    assert values == [Decimal("1.10")]
    assert str(values[0]) == "1.10"


@pytest.mark.parametrize("more", [{"derivation": "specialization"}, {"kind": "logical"}, {"url": None}, {"type": 1}])
def test_what_is_no_profile(more: Json) -> None:
    assert packed(profile("1") | more) == []
