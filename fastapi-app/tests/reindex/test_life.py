"""The life of a search parameter that is posted: pending, ready, changed, retired, deleted; in all processes."""

import asyncio

import pytest

from .conftest import parameter, soon


def patient(**elements):
    return {"resourceType": "Patient", **elements}


def colour(value):
    return {"url": "urn:test:colour", "valueCode": value}


COLOUR = parameter("colour", "Patient.extension('urn:test:colour').value.ofType(code)")


async def test_from_post_to_search(one, other):
    red = await one.post(patient(extension=[colour("red")]))
    assert "no search parameter 'colour'" in await one.refused("Patient?colour=red")
    await one.post(COLOUR)
    await one.hear()
    green = await one.post(patient(extension=[colour("green")]))
    assert "no search parameter 'colour'" in await other.refused("Patient?colour=red")  # it has not heard of it yet
    await other.hear()
    for query in (
        "Patient?colour=red",
        "Patient?_sort=colour",
        "Patient?_filter=colour eq red",
        "Observation?subject:Patient.colour=red",
        "Person?_has:Patient:colour:name=x",
        "Patient?_include=Patient:colour",
        "Patient?name=x&colour:missing=true",
    ):
        assert "can't be searched by yet" in await other.refused(query), query
    assert (await one.client.get("Patient?colour=red")).status_code == 400  # also where unknown ones are passed over

    done = await other.reindex()
    assert (done.state, done.progress["total"], done.progress["failed"]) == ("completed", 1, 0), done.progress
    assert await other.search("Patient?colour=red") == [red]
    await one.hear()
    assert await one.search("Patient?colour=red") == [red]
    assert await one.search("Patient?colour:missing=false") == sorted([red, green])
    assert await one.search("Patient?_sort=colour&colour:not=red") == [green]
    told = (await one.client.get("Patient/" + red)).json()
    assert told["meta"]["versionId"] == "1"  # it is the same version


async def test_it_is_told_when_it_is_ready(one):
    async def told():
        resources = (await one.client.get("metadata")).json()["rest"][0]["resource"]
        [listed] = [item["searchParam"] for item in resources if item["type"] == "Patient"]
        return next((item for item in listed if item["name"] == "colour"), None)

    date = (await one.client.get("metadata")).json()["date"]
    await one.post(COLOUR)
    await one.hear()
    assert await told() is None
    await one.reindex()
    assert (await told())["definition"] == COLOUR["url"]
    assert (await one.client.get("metadata")).json()["date"] > date
    assert '"colour"' in (await one.client.get("http://test/openapi.json")).text


async def test_a_process_that_starts_later_knows_it(one, start):
    await one.post(COLOUR)
    await one.reindex()
    later = await start()
    red = await later.post(patient(extension=[colour("red")]))
    assert await later.search("Patient?colour=red") == [red]


async def test_changes_take_effect(one, other):
    red = await one.post(patient(extension=[colour("red")], gender="male"))
    id = await one.post(COLOUR)
    await one.reindex()

    async def put(**elements):
        resource = COLOUR | {"id": id} | elements
        answer = await one.client.put(f"SearchParameter/{id}", json=resource)
        assert answer.status_code == 200, answer.text
        await one.hear()
        await other.hear()

    await put(description="the colour")  # nothing has to be indexed anew
    assert await other.search("Patient?colour=red") == [red]

    await put(modifier=["missing"])
    assert "takes no modifier 'not'; it takes :missing" in await other.refused("Patient?colour:not=red")
    assert await other.search("Patient?colour:missing=false") == [red]

    await put(expression="Patient.gender")
    assert "can't be searched by yet" in await other.refused("Patient?colour=male")
    await one.reindex()
    await other.hear()
    assert await other.search("Patient?colour=male") == [red]
    assert await other.search("Patient?colour=red") == []

    await put(status="retired", expression="Patient.gender")
    assert "no search parameter" in await other.refused("Patient?colour=male")
    await put(expression="Patient.gender")
    assert "can't be searched by yet" in await other.refused("Patient?colour=male")
    await one.reindex()

    assert (await one.client.delete(f"SearchParameter/{id}")).status_code == 204
    await other.hear()
    assert "no search parameter" in await other.refused("Patient?colour=male")


async def test_processes_hear_by_themselves(one, other, monkeypatch):
    monkeypatch.setattr("fhirserver.interactions.current.INTERVAL", 0.05)
    following = [asyncio.create_task(instance.process.current.follow()) for instance in (one, other)]
    following.append(asyncio.create_task(other.process.runner(1.0).follow()))
    try:
        red = await one.post(patient(extension=[colour("red")]))
        await one.post(COLOUR)
        id = await one.start()

        async def is_done():
            return (await one.client.get(f"_jobs/{id}")).status_code == 200

        await soon(is_done)

        async def is_known():
            return (await one.client.get("Patient?colour=red", headers={"Prefer": "handling=strict"})).is_success

        await soon(is_known)
        assert await one.search("Patient?colour=red") == await other.search("Patient?colour=red") == [red]
    finally:
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)


async def test_any_expression(one):
    """What no path through the elements says."""
    peter = await one.post(patient(name=[{"given": ["Peter", "James"], "family": "Chalmers"}], birthDate="1974-12-25"))
    jim = await one.post(patient(name=[{"given": ["Jim"]}], birthDate="1990"))
    await one.post(parameter("full-name", "Patient.name.select(given.first() & ' ' & family)", "string"))
    await one.post(parameter("given-names", "Patient.name.given.count()", "number"))
    await one.post(parameter("born-before-1980", "Patient.birthDate < @1980"))
    await one.post(parameter("birth-year", "Patient.birthDate.toString().substring(0, 4).toInteger()", "number"))
    await one.reindex()
    for query, found in (
        ("full-name=peter chal", [peter]),
        ("full-name:contains=ERS", [peter]),
        ("given-names=2", [peter]),
        ("given-names=lt2", [jim]),
        ("born-before-1980=true", [peter]),
        ("birth-year=ge1975", [jim]),
        ("_sort=-birth-year&birth-year:missing=false", sorted([jim, peter])),
    ):
        assert await one.search(f"Patient?{query}") == found, query


async def test_references_composites_and_abstract_bases(one):
    boss = await one.post({"resourceType": "Practitioner", "name": [{"family": "Boss"}]})
    ext = {"url": "urn:test:boss", "valueReference": {"reference": f"Practitioner/{boss}"}}
    worker = await one.post({"resourceType": "Practitioner", "extension": [ext], "language": "de"})
    heavy = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "urn:c", "code": "w"}]},
        "valueQuantity": {"value": 80, "unit": "kg"},
        "method": {"coding": [{"code": "scales"}]},
        "language": "de",
    }
    observed = await one.post(heavy)
    boss_of = "Practitioner.extension('urn:test:boss').value.ofType(Reference)"
    await one.post(parameter("boss", boss_of, "reference", "Practitioner", target=["Practitioner"]))
    await one.post(parameter("tongue", "Resource.language", "token", "Resource"))
    await one.post(parameter("how", "Observation.method", "token", "Observation"))
    await one.hear()
    components = [
        {"definition": "urn:test:how", "expression": "method"},
        {"definition": "http://hl7.org/fhir/SearchParameter/Observation-value-quantity", "expression": "value"},
    ]
    await one.post(parameter("how-much", "Observation", "composite", "Observation", component=components))
    await one.reindex()
    assert await one.search(f"Practitioner?boss={boss}") == [worker]
    assert await one.search("Practitioner?boss.name=boss") == [worker]
    assert await one.search(f"Practitioner?_has:Practitioner:boss:_id={worker}") == [boss]
    assert await one.search(f"Practitioner?_id={worker}&_include=Practitioner:boss") == sorted([worker, boss])
    assert await one.search("?_type=Practitioner,Observation&tongue=de") == sorted([worker, observed])
    assert await one.search("Observation?how-much=scales$gt70") == [observed]
    assert await one.search("Observation?how-much=scales$gt90") == []


async def test_contained_resources_are_indexed_too(one):
    inner = patient(id="p", extension=[colour("red")])
    outer = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "contained": [inner],
        "subject": {"reference": "#p"},
    }
    id = await one.post(outer)
    await one.post(COLOUR)
    done = await one.reindex()
    assert done.progress["types"] == {"Observation": [1, 1]}
    assert await one.search("Patient?colour=red&_contained=true&_containedType=container") == [id]


@pytest.mark.parametrize(
    ("elements", "place"),
    [
        ({"expression": "Patient.nothing"}, ".expression"),
        ({"code": "name"}, ".code"),
        ({"type": "special"}, ".type"),
    ],
)
async def test_what_is_wrong_is_refused_by_every_way_of_writing(one, elements, place):
    wrong = COLOUR | elements
    answers = [
        await one.client.post("SearchParameter", json=wrong),
        await one.client.put("SearchParameter/wrong", json=wrong | {"id": "wrong"}),
    ]
    entry = {"request": {"method": "POST", "url": "SearchParameter"}, "resource": wrong}
    answers.append(await one.client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": [entry]}))
    for answer in answers:
        assert answer.status_code == 422, answer.text
        [issue] = answer.json()["issue"]
        assert issue["expression"][0].endswith(place)


@pytest.mark.parametrize(
    "elements", [{"base": None}, {"code": 1}, {"expression": ["x"]}, {"url": None, "base": "Patient"}]
)
async def test_it_is_checked_where_nothing_else_is(one, elements):
    wrong = {name: value for name, value in (COLOUR | elements).items() if value is not None}
    answer = await one.client.post("SearchParameter", json=wrong, headers={"X-FHIR-Validation": "off"})
    assert answer.status_code == 422, answer.text
    await one.hear()


async def test_one_url_is_one_parameter(one):
    await one.post(COLOUR)
    answer = await one.client.post("SearchParameter", json=COLOUR | {"base": ["Person"], "expression": "Person.gender"})
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (409, "duplicate")
    await one.hear()
    answer = await one.client.post("SearchParameter", json=COLOUR | {"url": "urn:test:other"})
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (422, ["SearchParameter.code"])


async def test_several_in_a_transaction(one):
    entries = [
        {"request": {"method": "POST", "url": "SearchParameter"}, "resource": parameter(f"p{n}", "Patient.gender")}
        for n in range(3)
    ]
    answer = await one.client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200, answer.text
    male = await one.post(patient(gender="male"))
    await one.reindex()
    assert await one.search("Patient?p0=male&p1=male&p2=male") == [male]
