"""Modifiers, words, filters, positions and lists, over HTTP: which of a few resources a search finds.

https://hl7.org/fhir/R4/search.html#modifiers and https://hl7.org/fhir/R4/search_filter.html
"""

import pytest

from .building import SYSTEM, ids

MR = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}


def narrative(text):
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{text}</p></div>'}


PEOPLE = {
    "ana": {
        "name": [{"family": "García López", "given": ["Ana", "María"]}],
        "birthDate": "1980-02-03",
        "gender": "female",
        "active": True,
        "identifier": [{"type": {"coding": [MR], "text": "Historia clínica"}, "system": "http://h", "value": "12"}],
        "text": narrative("Bone marrow &amp; liver"),
    },
    "bob": {
        "name": [{"family": "Garcia", "given": ["Bob"]}],
        "birthDate": "1990",
        "gender": "male",
        "identifier": [{"type": {"coding": [{"code": "SS"}]}, "system": "http://h", "value": "12"}],
        "text": narrative("Metastases in the liver"),
    },
    "eve": {"name": [{"family": "Smith-Jones", "text": "Eve bone"}], "gender": "female"},
}
CONDITIONS = {
    "headache": {"code": {"text": "Severe headache", "coding": [{"system": "http://c", "code": "25064002"}]}},
    "hypertension": {"code": {"coding": [{"system": "http://c", "code": "1", "display": "Hypertensive disorder"}]}},
}
VALUE_SETS = {
    "below": {"url": "http://acme.org/fhir/ValueSet/123"},
    "deeper": {"url": "http://acme.org/fhir/ValueSet/123/x"},
    "other": {"url": "http://acme.org/fhirs/ValueSet/123"},
}
LOCATIONS = {
    "madrid": {"position": {"latitude": 40.4168, "longitude": -3.7038}},
    "toledo": {"position": {"latitude": 39.8628, "longitude": -4.0273}},
    "fiji east": {"position": {"latitude": -17.0, "longitude": 179.99}},
    "fiji west": {"position": {"latitude": -17.0, "longitude": -179.99}},
    "pole": {"position": {"latitude": 89.99, "longitude": 10}},
    "nowhere": {},
}


@pytest.fixture
def stored(store_all, tag):
    """Stores resources of a type by name; their ids by name."""

    async def stored(resource_type, resources, **more):
        meta = {"tag": [{"system": SYSTEM, "code": tag}]}
        made = [{"resourceType": resource_type, "meta": meta, **more, **item} for item in resources.values()]
        return dict(zip(resources, await store_all(*made), strict=True))

    return stored


@pytest.fixture
def found(client, tag):
    """The names of what a search finds."""

    async def found(names, resource_type, **params):
        answer = await client.get(resource_type, params={"_tag": tag, **params})
        assert answer.status_code == 200, answer.text
        by_id = {id: name for name, id in names.items()}
        return sorted(by_id[id] for id in ids(answer.json()))

    return found


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("name:text", "arcí", "ana bob"),  # of a string it is the same as :contains
        ("identifier:of-type", f"{MR['system']}|MR|12", "ana"),  # type and value of one identifier
        ("identifier:of-type", f"{MR['system']}|SS|12", ""),  # the type has another system
        ("identifier:of-type", "|SS|12", "bob"),  # or none
        ("identifier:text", "historia", "ana"),  # Identifier.type.text
        ("_text", "bone", "ana"),  # words of the narrative only
        ("_text", "(bone OR metastases) and liver", "ana bob"),  # the example of the specification
        ("_text", "liver -bone", "bob"),
        ("_text", "not bone", "bob eve"),
        ("_text", '"marrow liver"', "ana"),  # the phrase, as words stand side by side
        ("_text", '"liver marrow"', ""),
        ("_text", "metast*", "bob"),
        ("_content", "bone", "ana eve"),  # any text
        ("_content", "GARCIA", "ana bob"),  # without case and accents
        ("_content", "jones", "eve"),  # the words of a name with a hyphen
        ("_content", "1980", ""),  # a date is no text
        ("_filter", 'name co "arc"', "ana bob"),
        ("_filter", 'family eq "GARCÍA"', "bob"),  # the whole string
        ("_filter", 'family ew "lopez"', "ana"),
        ("_filter", 'family sw "sm"', "eve"),
        ("_filter", 'given ne "ana"', "ana bob"),  # an item in the set that has an unequal value: María
        ("_filter", "gender eq female and not (name co smith)", "ana"),
        ("_filter", "gender eq male or (gender eq female and active eq true)", "ana bob"),
        ("_filter", "gender eq male or gender eq female and active eq true", "ana bob"),  # and binds closer
        ("_filter", "birthdate pr true", "ana bob"),
        ("_filter", "birthdate pr false", "eve"),
        ("_filter", "birthdate ge 1985-01-01", "bob"),
        ("_filter", "birthdate po 1980-02", "ana"),
        ("_filter", "identifier eq http://h|12 and gender ne male", "ana"),
        ("_filter", 'identifier eq "http://h|12"', "ana bob"),  # a token may be a string
        ("_filter", "active ne true", ""),  # there has to be a value
    ],
)
async def test_people(stored, found, name, value, expected):
    names = await stored("Patient", PEOPLE)
    assert await found(names, "Patient", **{name: value}) == expected.split()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("headache", "headache"),  # CodeableConcept.text
        ("hypertensive", "hypertension"),  # Coding.display
        ("DISORDER", "hypertension"),  # any word
        ("hypertensive dis", "hypertension"),  # the last word may be a beginning
        ("hyper disorder", ""),  # the others are whole
        ("eadache", ""),  # from the beginning of a word
        ("headache,disorder", "headache hypertension"),
    ],
)
async def test_the_text_of_a_code(stored, found, store_all, value, expected):
    (patient,) = await store_all({"resourceType": "Patient"})
    names = await stored("Condition", CONDITIONS, subject={"reference": f"Patient/{patient}"})
    assert await found(names, "Condition", **{"code:text": value}) == expected.split()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("url:below", "http://acme.org/fhir", "below deeper"),  # not what only begins with the same letters
        ("url:below", "http://acme.org/fhir/", "below deeper"),
        ("url:below", "http://acme.org/fhir/ValueSet/123", "below deeper"),  # itself too
        ("url:above", "http://acme.org/fhir/ValueSet/123/_history/5", "below"),  # the example of the specification
        ("url:above", "http://acme.org/fhir/ValueSet/123/x", "below deeper"),
        ("_filter", "url sw http://acme.org/fhir", "below deeper"),
    ],
)
async def test_uris(stored, found, name, value, expected):
    names = await stored("ValueSet", VALUE_SETS, status="draft")
    assert await found(names, "ValueSet", **{name: value}) == expected.split()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("40.4168|-3.7038|1|km", "madrid"),
        ("40.4168|-3.7038|66", "madrid"),  # Toledo is 67 km away
        ("40.4168|-3.7038|68|km", "madrid,toledo"),
        ("40.4168|-3.7038|43|[mi_i]", "madrid,toledo"),
        ("40.4168|-3.7038|68000|m", "madrid,toledo"),
        ("40.4|-3.7", "madrid"),  # 50 km
        ("-17|180|5", "fiji east,fiji west"),  # across the antimeridian
        ("89.99|-170|5", "pole"),  # across the pole
        ("0|0|30000", "fiji east,fiji west,madrid,pole,toledo"),
        ("39.86|-4.02|1,40.41|-3.70|2", "madrid,toledo"),
    ],
)
async def test_near(stored, found, value, expected):
    names = await stored("Location", LOCATIONS)
    assert await found(names, "Location", near=value) == expected.split(",")


async def test_filters_along_references(stored, found, client, tag):
    people = await stored("Patient", PEOPLE)
    observations = {
        name: {"subject": {"reference": f"Patient/{id}"}, "code": {"text": name}} for name, id in people.items()
    }
    names = await stored("Observation", observations, status="final")
    for text, expected in (
        ('subject.name co "garc"', "ana bob"),
        ("patient[gender eq female].family co garc", "ana"),
        ("patient.gender eq male or patient.name sw smith", "bob eve"),
        ("subject re Patient/{ana}", "ana"),
        ("subject eq {ana} or subject eq Patient/{bob}", "ana bob"),
    ):
        assert await found(names, "Observation", _filter=text.format(**people)) == expected.split(), text


async def test_lists(stored, found, store_all):
    people = await stored("Patient", PEOPLE)
    items = [{"item": {"reference": f"Patient/{people[name]}"}} for name in ("ana", "eve")]
    (listed,) = await store_all({"resourceType": "List", "status": "current", "mode": "working", "entry": items})
    assert await found(people, "Patient", _list=listed) == ["ana", "eve"]
    assert await found(people, "Patient", _list=listed, gender="female", active="true") == ["ana"]
    assert await found(people, "Patient", _list="unknown") == []


async def test_hierarchies_of_references(stored, found, store_all, tag):
    hospital, clinic = await store_all(
        {"resourceType": "Location", "name": "Hospital"}, {"resourceType": "Location", "name": "Clinic"}
    )
    (ward,) = await store_all({"resourceType": "Location", "partOf": {"reference": f"Location/{hospital}"}})
    (bed,) = await store_all({"resourceType": "Location", "partOf": {"reference": f"Location/{ward}"}})
    places = {"hospital": hospital, "ward": ward, "bed": bed, "clinic": clinic}
    base = {"status": "finished", "class": {"code": "AMB"}}
    names = await stored(
        "Encounter",
        {name: {"location": [{"location": {"reference": f"Location/{id}"}}]} for name, id in places.items()},
        **base,
    )
    for modifier, at, expected in (
        ("below", "hospital", "bed hospital ward"),
        ("below", "ward", "bed ward"),
        ("below", "clinic", "clinic"),
        ("above", "bed", "bed hospital ward"),
        ("above", "hospital", "hospital"),
    ):
        assert await found(names, "Encounter", **{f"location:{modifier}": places[at]}) == expected.split(), (
            modifier,
            at,
        )


@pytest.mark.parametrize(
    ("search", "told"),
    [
        ("Patient?_filter=name", "operator"),
        ("Patient?_filter=name zz x", "operator"),
        ("Patient?_filter=name eq", "operator"),
        ("Patient?_filter=(name eq x", "')'"),
        ("Patient?_filter=name eq x)", "the end"),
        ("Patient?_filter=not name eq x", "'(' after 'not'"),
        ('Patient?_filter=name eq "x', "value"),
        ("Patient?_filter=dog eq x", "dog"),
        ("Patient?_filter=gender gt x", "eq, ne, ss, sb, in, ni, pr"),
        ("Patient?_filter=birthdate co 1980", "eq, ne, gt, lt, ge, le, ap, sa, eb, po, pr"),
        ("Patient?_filter=birthdate eq never", "birthdate"),
        ("Patient?_filter=name.family eq x", "leads to no other resource"),
        ("Patient?_filter=" + "(" * 40 + "name eq x" + ")" * 40, "nested"),
        ("Patient?_text=(bone", "query of words"),
        ("Patient?_text=bone or", "query of words"),
        ("Patient?_text=???", "query of words"),
        ("Patient?_content:exact=x", "none"),
        ("Patient?identifier:of-type=a|b", "system|code|value"),
        ("Patient?_list=a b", "ids of Lists"),
        ("Condition?_list=$current-problems", "no functional lists"),
        ("ValueSet?url:below=urn:oid:1.2", "URL"),
        ("Location?near=here", "latitude"),
        ("Location?near=91|0|1", "latitude"),
        ("Location?near=1|1|1|furlongs", "km"),
        ("Location?near=1|1|-1", "latitude"),
        ("Patient?gender:exact=male", ":below"),
        ("Observation?subject:below=Patient/1", "hierarchy"),
    ],
)
async def test_what_makes_no_sense(client, search, told):
    answer = await client.get(search)
    assert answer.status_code == 400
    assert told in answer.json()["issue"][0]["diagnostics"]
