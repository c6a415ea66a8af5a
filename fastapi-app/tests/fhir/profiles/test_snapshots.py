"""Snapshots by R4's rules, each rule in the smallest profile that needs it."""

from typing import Any

import pytest

from fhirserver.fhir.outcomes import InvalidResource
from fhirserver.fhir.profiles.built_in import BuiltInStructures
from fhirserver.fhir.profiles.snapshots import STRUCTURES, with_snapshot

Json = dict[str, Any]


@pytest.fixture(scope="module")
def built_in() -> BuiltInStructures:
    return BuiltInStructures.load()


def profile(*elements: Json, base: str = "Observation", url: str = "http://a.b/profile") -> Json:
    return {
        "resourceType": "StructureDefinition",
        "url": url,
        "type": base.rpartition("/")[2],
        "baseDefinition": base if ":" in base else STRUCTURES + base,
        "derivation": "constraint",
        "differential": {"element": list(elements)},
    }


def element(path: str, **rules: Any) -> Json:
    return {"path": path, **rules}


def snapshot(built_in: BuiltInStructures, structure: Json, *others: Json) -> dict[str, Json]:
    known = {other["url"]: other for other in others}
    made = with_snapshot(structure, lambda url: known.get(url) or built_in.structure(url))
    return {item["id"]: item for item in made["snapshot"]["element"]}


CODES = {"strength": "required", "valueSet": "http://a.b/codes"}
BY_CODE = {"discriminator": [{"type": "value", "path": "code"}], "rules": "open"}

RULES: list[tuple[str, list[Json], str, Json, str]] = [
    (
        "Observation", [element("Observation.subject", min=1, mustSupport=True)],
        "Observation.subject", {"min": 1, "max": "1", "mustSupport": True}, "what is not said stays as it is",
    ),
    (
        "Observation", [element("Observation.code.coding.code", min=1)],
        "Observation.code.coding.code", {"min": 1, "base": {"path": "Coding.code", "min": 0, "max": "1"}},
        "what lies within data types is constrained too",
    ),
    (
        "Observation", [element("Observation.component.referenceRange.low", min=1)],
        "Observation.component.referenceRange.low", {"min": 1}, "what is defined like another element has its children",
    ),
    (
        "Observation", [element("Observation.component", slicing=BY_CODE), element("Observation.component", sliceName="a")],
        "Observation.component:a", {"sliceName": "a", "min": 0, "max": "*", "slicing": None}, "a slice is optional",
    ),
    (
        "Observation",
        [element("Observation.component", slicing=BY_CODE), element("Observation.component", sliceName="a"),
         element("Observation.component.code", binding=CODES)],
        "Observation.component:a.code", {"min": 1, "binding": CODES}, "without ids, what follows a slice is within it",
    ),
    (
        "Observation",
        [element("Observation.component", slicing=BY_CODE), element("Observation.component", sliceName="a"),
         element("Observation.component.code", binding=CODES)],
        "Observation.component.code", {"min": 1, "binding": {"strength": "example"}}, "and not in all others",
    ),
    (
        "Observation",
        [element("Observation.component", slicing=BY_CODE), element("Observation.component", sliceName="a", max="3"),
         element("Observation.component", sliceName="a/b")],
        "Observation.component:a/b", {"sliceName": "a/b", "min": 0, "max": "3"}, "a reslice is as its slice",
    ),
    (
        "Observation", [element("Observation.valueQuantity", max="1")],
        "Observation.value[x]:valueQuantity", {"path": "Observation.value[x]", "type": [{"code": "Quantity"}]},
        "the name of one type stands for a slice",
    ),
    (
        "Observation", [element("Observation.valueQuantity", max="1")],
        "Observation.value[x]", {"slicing": {"rules": "open"}}, "of which there may be others",
    ),
    (
        "Observation", [element("Observation.valueQuantity", min=1)],
        "Observation.value[x]", {"min": 1, "slicing": {"rules": "closed"}, "type": [{"code": "Quantity"}]},
        "unless it has to be there",
    ),
    (
        "Observation",
        [element("Observation.component", slicing=BY_CODE), element("Observation.component", sliceName="a"),
         element("Observation.component.valueQuantity.unit", min=1)],
        "Observation.component:a.value[x].unit", {"min": 1}, "in a slice, it is the only type",
    ),
    (
        "Observation", [element("Observation.value[x]", type=[{"code": "Quantity"}]), element("Observation.value[x].unit", min=1)],
        "Observation.value[x].unit", {"min": 1}, "a choice of one type has the children of this type",
    ),
    (
        "Observation", [element("Observation.value[x].extension", max="0")],
        "Observation.value[x].extension", {"max": "0"}, "of several types, those that all have",
    ),
    (
        "Patient", [element("Patient.extension", sliceName="a", type=[{"code": "Extension", "profile": ["http://a.b/x"]}])],
        "Patient.extension", {"slicing": {"discriminator": [{"type": "value", "path": "url"}]}},
        "extensions are sliced by their url",
    ),
    (
        "Patient",
        [element("Patient.extension", sliceName="a", type=[{"code": "Extension", "profile": ["http://a.b/x"]}]),
         element("Patient.extension.value[x]", min=1)],
        "Patient.extension:a.value[x]", {"min": 1}, "also those whose definition is not known",
    ),
    (
        "Patient", [element("Patient.name", constraint=[{"key": "n-1"}]), element("Patient.name", constraint=[{"key": "n-2"}])],
        "Patient.name", {"constraint": [{"key": "ele-1"}, {"key": "n-1"}, {"key": "n-2"}]}, "constraints add up",
    ),
    (
        "Patient", [element("Patient.name", short="a"), element("Patient.name", definition="...b")],
        "Patient.name", {"short": "a", "definition": "\nb"}, "three dots go on with what the base says",
    ),
    (
        "Extension", [element("Extension.url", type=[{"code": "uri"}], fixedUri="http://a.b/x")],
        "Extension.url", {"fixedUri": "http://a.b/x"}, "R4's own profiles call types of FHIRPath by those of FHIR",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("base", "elements", "id", "expected", "reason"), RULES, ids=[rule[-1] for rule in RULES])
def test_rules(
    built_in: BuiltInStructures, base: str, elements: list[Json], id: str, expected: Json, reason: str
) -> None:
    found = snapshot(built_in, profile(*elements, base=base))[id]
    _require_part(expected, found)


def _require_part(expected: Any, found: Any) -> None:
    """Whether all that is expected is there, whatever else is."""
    if isinstance(expected, dict):
        for name, value in expected.items():
            _require_part(value, found.get(name))
    elif isinstance(expected, list):
        assert len(expected) == len(found)
        for value, other in zip(expected, found, strict=True):
            _require_part(value, other)
    else:
        assert found == expected


def test_slices_come_after_the_children_of_what_is_sliced(built_in: BuiltInStructures) -> None:
    parts = [
        element("Observation.component", slicing=BY_CODE),
        element("Observation.component", sliceName="b"),
        element("Observation.component", sliceName="a"),
        element("Observation.component", sliceName="b/c"),
    ]
    ids = [id for id in snapshot(built_in, profile(*parts)) if id.count(".") == 1 and "component" in id]
    assert ids == [f"Observation.component{name}" for name in ("", ":b", ":b/c", ":a")]


def test_a_profile_of_a_profile_has_what_both_say(built_in: BuiltInStructures) -> None:
    base = profile(element("Observation.subject", min=1), url="http://a.b/base")
    derived = profile(element("Observation.performer", min=1), base="http://a.b/base")
    found = snapshot(built_in, derived, base)
    assert (found["Observation.subject"]["min"], found["Observation.performer"]["min"]) == (1, 1)


def test_a_slice_with_a_profile_has_its_elements(built_in: BuiltInStructures) -> None:
    extension = profile(element("Extension.value[x]", type=[{"code": "Coding"}]), base="Extension", url="http://a.b/x")
    parts = [
        element("Patient.extension", sliceName="a", type=[{"code": "Extension", "profile": ["http://a.b/x"]}]),
        element("Patient.extension.value[x].system", min=1),
    ]
    found = snapshot(built_in, profile(*parts, base="Patient"), extension)
    assert found["Patient.extension:a.value[x]"]["type"] == [{"code": "Coding"}]
    assert found["Patient.extension:a.value[x].system"]["min"] == 1


def test_what_is_there_is_not_made(built_in: BuiltInStructures) -> None:
    patient = built_in.structure(STRUCTURES + "Patient")
    assert patient is not None
    assert with_snapshot(patient, built_in.structure) is patient


DIFFERENTIAL = "StructureDefinition.differential.element"

WRONG: list[tuple[str, list[Json], str, str, str]] = [
    ("http://a.b/none", [], "StructureDefinition.baseDefinition", "is not known", "an unknown base"),
    ("Observation|3.0.1", [], "StructureDefinition.baseDefinition", "is not known", "a version of R4 that is none"),
    ("http://a.b/profile", [], "StructureDefinition.baseDefinition", "based on itself", "its own base"),
    ("Observation", [element("Observation.nose", min=1)], DIFFERENTIAL + "[0].path", "Observation.nose", "no element"),
    ("Observation", [element("Observation.code.nose", min=1)], DIFFERENTIAL + "[0].path", "code.nose", "none within"),
    ("Observation", [element("Patient.name", min=1)], DIFFERENTIAL + "[0].path", "begin with Obs", "another type"),
    ("Observation", [element("Observation.valueMoney")], DIFFERENTIAL + "[0].path", "valueMoney", "no type of it"),
    ("Observation", [element("Observation.status", min=0)], DIFFERENTIAL + "[0].min", "1 in the base", "less than 1"),
    ("Observation", [element("Observation.code", max="*")], DIFFERENTIAL + "[0].max", "1 in the base", "more than 1"),
    (
        "Observation", [element("Observation.value[x]", type=[{"code": "Quantity"}, {"code": "Money"}])],
        DIFFERENTIAL + "[0].type[1]", "Money", "a type that the base does not have",
    ),
    (
        "Observation", [element(".".join(["Observation.code", *["extension"] * 50]))],
        DIFFERENTIAL + "[0].path", "deep", "extensions in extensions in extensions …",
    ),
    (
        "Observation", [element("Observation.component", sliceName=str(n)) for n in range(4000)],
        "StructureDefinition.differential", "20000 elements", "a small differential with a huge snapshot",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("base", "elements", "place", "text", "reason"), WRONG, ids=[case[-1] for case in WRONG])
def test_what_is_wrong_is_told(
    built_in: BuiltInStructures, base: str, elements: list[Json], place: str, text: str, reason: str
) -> None:
    structure = profile(*elements, base=base)
    with pytest.raises(InvalidResource) as caught:
        snapshot(built_in, structure, structure)
    assert caught.value.issues[0].expression == (place,)
    assert text in caught.value.issues[0].diagnostics


def test_all_that_is_wrong_is_told_at_once(built_in: BuiltInStructures) -> None:
    parts = [element("Observation.nose"), element("Observation.status", min=0), element("Observation.code", max="*")]
    with pytest.raises(InvalidResource) as caught:
        snapshot(built_in, profile(*parts))
    assert len(caught.value.issues) == 3


def test_profiles_in_a_circle_end(built_in: BuiltInStructures) -> None:
    one = profile(base="http://a.b/2", url="http://a.b/1")
    two = profile(base="http://a.b/1", url="http://a.b/2")
    with pytest.raises(InvalidResource, match="based on itself"):
        snapshot(built_in, one, one, two)


def test_r4s_own_profiles_all_have_a_snapshot(built_in: BuiltInStructures) -> None:
    built_in.verify()
    for url in built_in.profiles():
        structure = built_in.structure(url)
        assert structure is not None
        assert with_snapshot(structure, built_in.structure)["snapshot"]["element"]
