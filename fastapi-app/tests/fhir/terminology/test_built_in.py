"""R4's own code systems and value sets: which codes are in them, and that the data file is what the script makes."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fhirserver.fhir.outcomes import DefinitionsCorrupt
from fhirserver.fhir.terminology import BuiltIn
from fhirserver.fhir.terminology.built_in import PACKAGED

SCRIPT = Path(__file__).parents[3] / "scripts" / "build_terminology.py"
R4 = "http://hl7.org/fhir/ValueSet/"
V3 = "http://terminology.hl7.org/CodeSystem/v3-"


@pytest.mark.parametrize(
    ("value_set", "system", "code", "contained", "why"),
    [
        (
            R4 + "administrative-gender",
            "http://hl7.org/fhir/administrative-gender",
            "male",
            True,
            "a whole code system",
        ),
        (R4 + "administrative-gender", None, "male", True, "of any code system"),
        (R4 + "administrative-gender", None, "Male", False, "case matters there"),
        (R4 + "administrative-gender", "http://other", "male", False, "another code system"),
        (R4 + "administrative-gender|4.0.1", None, "male", True, "with its version"),
        (R4 + "administrative-gender|3.0.0", None, "male", None, "a version that is not there"),
        (R4 + "v3-ActEncounterCode", None, "AMB", None, "not its canonical URL"),
        ("http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", V3 + "ActCode", "AMB", True, "below a concept"),
        ("http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", V3 + "ActCode", "COPAY", False, "beside it"),
        (R4 + "patient-contactrelationship", None, "N", True, "is-not-a: another concept"),
        (R4 + "patient-contactrelationship", None, "O", False, "is-not-a: the concept"),
        (R4 + "mimetypes", None, "text/plain; charset=utf-8", True, "a grammar"),
        (R4 + "mimetypes", None, "text", False, "not of its form"),
        (R4 + "all-languages", "urn:ietf:bcp:47", "es-MX", True, "a grammar"),
        (R4 + "languages", None, "es", True, "a list of codes of a grammar"),
        (R4 + "languages", None, "ca", False, "well formed, but not listed"),
        (R4 + "ucum-units", None, "mm[Hg]", True, "UCUM"),
        (R4 + "ucum-units", None, "mmHg", False, "no unit of UCUM"),
        (R4 + "all-time-units", None, "h", True, "a multiple of the second"),
        (R4 + "all-distance-units", None, "km", True, "a multiple of the metre"),
        (R4 + "all-distance-units", None, "kg", False, "a unit, but of mass"),
        (R4 + "currencies", None, "EUR", True, "from the expansions"),
        (R4 + "currencies", None, "EURO", False, "from the expansions"),
        (R4 + "condition-code", None, "160245001", True, "listed one by one"),
        (R4 + "condition-code", "http://snomed.info/sct", "1", None, "SNOMED CT is not part of R4"),
        (R4 + "observation-vitalsignresult", "http://loinc.org", "8480-6", True, "listed, of an unknown code system"),
        (R4 + "observation-vitalsignresult", "http://loinc.org", "1-8", False, "not listed"),
        ("http://nowhere", None, "x", None, "unknown value set"),
    ],
)
def test_what_value_sets_contain(built_in, value_set, system, code, contained, why):
    assert built_in.contains(value_set, system, code) is contained, why


def test_it_agrees_with_the_codes_of_required_bindings(built_in, definitions):
    """`Definitions.value_set_codes` is made from the same package by other means."""
    compared = 0
    for url, _ in built_in.urls("ValueSet"):
        for system, codes in (definitions.value_set_codes(url) or {}).items():
            for code in codes:
                assert built_in.contains(url, system, code) is True, (url, system, code)
                compared += 1
            assert built_in.contains(url, system, "no such code") is False, url
    assert compared > 1500


def test_everything_is_there(built_in):
    assert {name: len(built_in.urls(name)) for name in ("CodeSystem", "ValueSet", "ConceptMap")} == {
        "CodeSystem": 1058 + 4,  # 4 have no concepts, and of 4 others only the expansions tell the codes
        "ValueSet": 1316,
        "ConceptMap": 80,
    }
    assert (
        sum(len(built_in.code_system(url, version) or ()) for url, version in built_in.urls("CodeSystem"))
        == 20731 + 524
    )


def test_the_data_file_is_what_the_script_makes(shared: Path, tmp_path: Path):
    sources = (
        shared / "fhir-r4" / "hl7.fhir.r4.core-4.0.1.tar.xz",
        shared / "packages" / "hl7.fhir.r4.expansions-4.0.1.tgz",
    )
    target = tmp_path / "terminology.zip"
    subprocess.run([sys.executable, SCRIPT, *sources, target], check=True, capture_output=True, timeout=120)
    # It may come from another version of zlib, so the content is compared.
    with zipfile.ZipFile(target) as made, zipfile.ZipFile(PACKAGED) as packaged:
        assert {name: made.read(name) for name in made.namelist()} == {
            name: packaged.read(name) for name in packaged.namelist()
        }


def test_a_damaged_data_file_is_noticed(tmp_path: Path):
    with zipfile.ZipFile(PACKAGED) as packaged, zipfile.ZipFile(tmp_path / "damaged.zip", "w") as damaged:
        for name in packaged.namelist():
            content = json.dumps([]).encode() if name == "ValueSet/00.json" else packaged.read(name)
            damaged.writestr(name, content)
    with pytest.raises(DefinitionsCorrupt, match=r"ValueSet/00\.json"):
        BuiltIn.load(tmp_path / "damaged.zip").verify()
    BuiltIn.load().verify()
