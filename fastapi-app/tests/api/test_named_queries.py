"""Queries that are stored under a name. https://hl7.org/fhir/R4/search.html#query"""

import pytest

from fhirserver.interactions.named_queries import EXPRESSION, LANGUAGE

from .building import SYSTEM, ids, patient


@pytest.fixture
async def stored(store_all, tag):
    """A query of women born until a year, and three people."""
    expression = {"language": LANGUAGE, "expression": "Patient?birthdate=le{{%born}}&gender=female&name={{%name}}"}
    await store_all(
        {
            "resourceType": "OperationDefinition",
            "name": "Women",
            "status": "active",
            "kind": "query",
            "code": tag,
            "system": False,
            "type": True,
            "instance": False,
            "resource": ["Patient"],
            "extension": [{"url": EXPRESSION, "valueExpression": expression}],
            "parameter": [
                {"name": "born", "use": "in", "min": 1, "max": "1", "type": "date"},
                {"name": "name", "use": "in", "min": 0, "max": "1", "type": "string", "searchType": "string"},
            ],
        }
    )
    meta = {"tag": [{"system": SYSTEM, "code": tag}]}
    people = (
        patient(meta=meta, gender="female", birthDate="1950-01-01", name=[{"family": "Old, and wise"}]),
        patient(meta=meta, gender="female", birthDate="2000-01-01", name=[{"family": "Young"}]),
        patient(meta=meta, gender="male", birthDate="1950-01-01", name=[{"family": "Old"}]),
    )
    return dict(zip(("old", "young", "man"), await store_all(*people), strict=True))


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("born=1960", "old"),
        ("born=2010", "old young"),
        ("born=2010&name=you", "young"),
        ("born=2010&name=old%2C and", "old"),  # a comma in a value is one
        ("born=2010&birthdate=gt1990", "young"),  # other criteria as always
        ("born=2010&_sort=birthdate&_count=1", "old"),
    ],
)
async def test_found(client, stored, tag, rest, expected):
    answer = await client.get(f"Patient?_query={tag}&_tag={tag}&{rest}")
    assert answer.status_code == 200, answer.text
    assert sorted(ids(answer.json())) == sorted(stored[name] for name in expected.split())


@pytest.mark.parametrize(
    ("search", "told"),
    [
        ("Patient?_query={tag}", "needs the parameter 'born'"),
        ("Patient?_query={tag}x&born=1960", "no query"),
        ("Observation?_query={tag}&born=1960", "no query"),
        ("?_query={tag}&born=1960", "no query"),
        ("Patient?_query={tag}&_query={tag}&born=1960", "once"),
        ("Patient?_query={tag}&born=never", "birthdate"),
    ],
)
async def test_what_makes_no_sense(client, stored, tag, search, told):
    answer = await client.get(search.format(tag=tag))
    assert (answer.status_code, told in answer.text) == (400, True), answer.text
