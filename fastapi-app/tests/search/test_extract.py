"""Resource → index entry."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.resource_json import parse
from fhirserver.search.entry import IndexEntry
from fhirserver.search.extract import Extractor
from fhirserver.search.keys import ParameterKeys, self_key
from fhirserver.search.request import Include

from .evaluate import BASE_URL, Searcher, entry_is_sound, holds


def test_all_examples(searcher: Searcher, example_files: Path) -> None:
    extractor = Extractor(searcher.definitions, UTC)
    count = found = 0
    for path in sorted(example_files.glob("*.json")):
        resource = parse(path.read_bytes())
        if searcher.definitions.is_resource_type(str(resource.get("resourceType"))):
            entry = extractor.extract(resource, resource["resourceType"], BASE_URL)
            assert entry_is_sound(entry), path.name
            assert entry.self_key is not None or "id" not in resource, path.name
            found += bool(entry.keys)
            count += 1
    assert count > 5000
    assert found > 0.99 * count


def ranges(entry: IndexEntry, resource_type: str, code: str, unit: str = "") -> list[tuple[float, float]]:
    key = ParameterKeys(resource_type, code).range(unit)
    found = zip(entry.range_key, entry.range_low, entry.range_high, strict=True)
    return [(low, high) for name, low, high in found if name == key]


def strings(entry: IndexEntry) -> set[str]:
    return {text for text in entry.strings.split("\x1e") if text}


def test_patient_example(searcher: Searcher, example_files: Path) -> None:
    entry = searcher.extract(parse((example_files / "Patient-example.json").read_bytes()))
    assert {
        "family=chalmers", "family=windsor", "given=peter", "given=james", "given=jim", "name=chalmers", "name=peter",
        "address=534 erewhon st", "address-city=pleasantville", "address-state=vic", "address-postalcode=3999",
    } <= strings(entry)  # fmt: skip
    assert "phonetic=peter" in strings(entry)
    keys = ParameterKeys("Patient", "identifier")
    assert keys.token("urn:oid:1.2.36.146.595.217.0.1", "12345") in entry.keys
    assert keys.token(None, "12345") in entry.keys
    assert keys.token("", "12345") not in entry.keys
    gender = ParameterKeys("Patient", "gender")
    assert gender.token("http://hl7.org/fhir/administrative-gender", "male") in entry.keys
    birthdate = ParameterKeys("Patient", "birthdate")
    assert {birthdate.date("1974"), birthdate.date("1974-12"), birthdate.date("1974-12-25")} <= set(entry.keys)
    assert entry.sort_date == datetime(1974, 12, 25, tzinfo=UTC)
    assert entry.self_key == self_key("Patient", "example")
    organization = ParameterKeys("Patient", "organization")
    assert (organization.reference, self_key("Organization", "1")) in zip(entry.ref_key, entry.ref_target, strict=True)
    assert ParameterKeys("Patient", "language").present not in entry.keys


def test_observation_example(searcher: Searcher, example_files: Path) -> None:
    entry = searcher.extract(parse((example_files / "Observation-example.json").read_bytes()))
    for unit in (
        "",
        "[lb_av]",
        "lbs",
    ):
        assert ranges(entry, "Observation", "value-quantity", unit) == [(185.0, 185.0)], unit
    grams = 83914.58845
    assert ranges(entry, "Observation", "value-quantity", "http://unitsofmeasure.org|=g") == [(grams, grams)]
    assert ranges(entry, "Observation", "value-quantity", "kg") == []
    day = datetime(2016, 3, 28, tzinfo=UTC).timestamp()
    assert ranges(entry, "Observation", "date") == [(day, day + 86_400 - 1e-6)]
    code = ParameterKeys("Observation", "code")
    assert {code.token("http://loinc.org", "29463-7"), code.system("http://snomed.info/sct")} <= set(entry.keys)
    status = ParameterKeys("Observation", "status")
    assert status.token("http://hl7.org/fhir/observation-status", "final") in entry.keys
    targets = set(zip(entry.ref_key, entry.ref_target, strict=True))
    for name in ("subject", "patient"):
        assert (ParameterKeys("Observation", name).reference, self_key("Patient", "example")) in targets


@pytest.mark.parametrize(
    ("file", "query"),
    [
        ("Patient-example.json", "name=peter&birthdate=1974-12-25&gender=male&active=true&deceased=false"),
        ("Patient-example.json", "organization=Organization/1&address-use=home&phone=(03) 5555 6473"),
        ("Observation-example.json", "subject=Patient/example&code=http://loinc.org|29463-7&value-quantity=gt180||lbs"),
        ("Observation-f001.json", "patient=f001&date=ge2013-04-02T09:30:10+01:00&value-quantity=6.3||mmol/l"),
        ("Encounter-f001.json", "status=finished&class=AMB&subject=f001"),
        ("Condition-f001.json", "onset-date=2011-08-05&clinical-status=active&code=368009"),
        ("ValueSet-example-extensional.json", "url=http://hl7.org/fhir/ValueSet/example-extensional&reference=http://loinc.org"),
        ("Procedure-f001.json", "patient=f001&date=2011-06"),
        ("RiskAssessment-cardiac.json", "probability=0.02"),
        ("CapabilityStatement-example.json", "format=json&resource=Patient&mode=server"),
        ("Location-1.json", "name=south wing&organization=f001&status=active"),
    ],
)  # fmt: skip
def test_examples_are_found(searcher: Searcher, example_files: Path, file: str, query: str) -> None:
    resource = parse((example_files / file).read_bytes())
    for part in query.split("&"):
        assert searcher.matches(resource, part), part


@pytest.mark.parametrize(
    ("resource", "sort_date"),
    [
        ({"effectiveDateTime": "2020-05-10T12:00:00+02:00"}, datetime(2020, 5, 10, 10, tzinfo=UTC)),
        ({"effectivePeriod": {"start": "2020"}}, datetime(2020, 1, 1, tzinfo=UTC)),
        ({"effectivePeriod": {"end": "2020-01-01T00:00:00Z"}}, datetime(2020, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC)),
        ({"effectiveTiming": {"event": ["2021", "2020"]}}, datetime(2020, 1, 1, tzinfo=UTC)),
        ({"effectiveDateTime": "0001-01-01"}, None),  # on the edge of the calendar, in no database's every time zone
        ({"effectiveDateTime": "9999-12-31"}, datetime(9999, 12, 31, tzinfo=UTC)),
        ({"effectiveDateTime": "nonsense"}, None),
        ({"issued": "2020-01-01T00:00:00Z"}, None),
        ({}, None),
    ],
)
def test_sort_date(searcher: Searcher, resource: dict[str, Any], sort_date: datetime | None) -> None:
    assert searcher.extract({"resourceType": "Observation"} | resource).sort_date == sort_date


def test_zone(searcher: Searcher, in_madrid: Searcher) -> None:
    patient = {"resourceType": "Patient", "birthDate": "2020-07-01"}
    assert searcher.extract(patient).sort_date == datetime(2020, 7, 1, tzinfo=UTC)
    assert in_madrid.extract(patient).sort_date == datetime(2020, 6, 30, 22, tzinfo=UTC)


def test_what_cannot_be_interpreted_is_passed_over(searcher: Searcher) -> None:
    entry = searcher.extract({
        "resourceType": "Observation",
        "code": {"coding": [None, {"display": "only"}]},
        "subject": {"reference": "not a reference"},
        "effectivePeriod": {"start": "2020-13-45"},
        "valueQuantity": {"value": "12", "unit": "mg"},
        "performer": [{"display": "someone"}, None],
        "component": [{"valueSampledData": {"data": "E"}}, {"valueQuantity": {}}],
        "identifier": [{"period": {"start": "2020"}}],
    })  # fmt: skip
    assert entry_is_sound(entry)
    assert entry.range_key == entry.ref_key == []
    assert entry.self_key is None
    for code in ("code", "subject", "date", "value-quantity", "performer", "identifier"):
        assert ParameterKeys("Observation", code).present in entry.keys, code


def test_an_empty_resource_of_every_type(searcher: Searcher) -> None:
    for resource_type in searcher.definitions.resource_types:
        entry = searcher.extract({"resourceType": resource_type, "id": "x"})
        assert entry.self_key == self_key(resource_type, "x")
        assert (entry.strings.replace("\x1edeceased=false\x1e", ""), entry.range_key, entry.ref_key) == ("", [], [])


ENCOUNTER: dict[str, Any] = {
    "resourceType": "Encounter",
    "subject": {"reference": "Patient/1"},
    "serviceProvider": {"reference": f"{BASE_URL}/Organization/2"},
    "participant": [
        {"individual": {"reference": "Practitioner/3/_history/1"}},
        {"individual": {"reference": "RelatedPerson/4"}},
        {"individual": {"reference": "http://else.where/fhir/Practitioner/5"}},
    ],
}


@pytest.mark.parametrize(
    ("code", "targets"),
    [
        ("subject", [("Patient", "1")]),
        ("patient", [("Patient", "1")]),
        ("service-provider", [("Organization", "2")]),
        ("participant", [("Practitioner", "3"), ("RelatedPerson", "4")]),
        ("practitioner", [("Practitioner", "3")]),
        ("location", []),
        ("class", []),
        ("nonsense", []),
    ],
)
def test_references(definitions: Definitions, code: str, targets: list[tuple[str, str]]) -> None:
    extractor = Extractor(definitions, UTC)
    assert extractor.references(ENCOUNTER, "Encounter", code, BASE_URL) == targets


def test_all_references(definitions: Definitions) -> None:
    found = Extractor(definitions, UTC).references(ENCOUNTER, "Encounter", "*", BASE_URL)
    assert sorted(found) == [("Organization", "2"), ("Patient", "1"), ("Practitioner", "3"), ("RelatedPerson", "4")]


@pytest.mark.parametrize(
    ("include", "targets", "found"),
    [
        (Include("Encounter", "subject"), [("Patient", "9"), ("Patient", "1")], True),
        (Include("Encounter", "subject"), [("Patient", "9")], False),
        (Include("Encounter", "*"), [("Organization", "2")], True),
        (Include("Encounter", "participant"), [("RelatedPerson", "4")], True),
        (Include("Encounter", "participant", "RelatedPerson"), [("RelatedPerson", "4")], True),
        (Include("Encounter", "participant", "Practitioner"), [("RelatedPerson", "4")], None),
        (Include("Encounter", "practitioner"), [("RelatedPerson", "4")], None),
        (Include("Encounter", "patient"), [("Group", "1")], None),
        (Include("Encounter", "subject"), [], None),
        (Include("Encounter", "class"), [("Patient", "1")], None),
    ],
)
def test_referring(
    definitions: Definitions, include: Include, targets: list[tuple[str, str]], found: bool | None
) -> None:
    """`found` is None where no search is needed."""
    extractor = Extractor(definitions, UTC)
    request = extractor.referring(include, targets, 7)
    if found is None:
        assert request is None
        return
    assert request is not None
    assert (request.resource_type, request.count) == ("Encounter", 7)
    assert holds(request.tree, extractor.extract(ENCOUNTER, "Encounter", BASE_URL)) is found
