"""Conditional update and delete. https://hl7.org/fhir/R4/http.html#cond-update and #cdelete"""

from .building import criteria, named, unique


async def test_a_conditional_update_creates_then_updates(client):
    value = unique()
    address = f"Patient?{criteria(value)}"
    first = await client.put(address, json=named(value))
    assert first.status_code == 201
    second = await client.put(address, json=named(value, gender="other"))
    assert (second.status_code, second.json()["id"], second.headers["etag"]) == (200, first.json()["id"], 'W/"2"')
    third = await client.put(address, json=named(value, id=first.json()["id"]))
    assert (third.status_code, third.headers["etag"]) == (200, 'W/"3"')


async def test_an_id_in_the_body_has_to_be_that_of_the_match(client, create):
    value = unique()
    await create(named(value))
    answer = await client.put(f"Patient?{criteria(value)}", json=named(value, id="another"))
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (400, ["id"])


async def test_without_a_match_the_id_in_the_body_is_taken_if_it_is_free(client):
    value, id = unique(), unique()
    made = await client.put(f"Patient?{criteria(value)}", json=named(value, id=id))
    assert (made.status_code, made.json()["id"]) == (201, id)
    other = unique()
    taken = await client.put(f"Patient?{criteria(other)}", json=named(other, id=id))
    assert (taken.status_code, taken.json()["issue"][0]["code"]) == (409, "conflict")
    assert (await client.get(f"Patient/{id}")).json() == made.json()
    await client.delete(f"Patient/{id}")
    assert (await client.put(f"Patient?{criteria(other)}", json=named(other, id=id))).status_code == 201


async def test_several_matches_are_refused(client, create):
    value = unique()
    one = (await create(named(value))).json()["id"]
    await create(named(value))
    for answer in (
        await client.put(f"Patient?{criteria(value)}", json=named(value)),
        await client.delete(f"Patient?{criteria(value)}"),
    ):
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (412, "multiple-matches")
    assert (await client.get(f"Patient/{one}")).headers["etag"] == 'W/"1"'


async def test_a_conditional_update_heeds_if_match(client, create):
    value = unique()
    await create(named(value))
    url = f"Patient?{criteria(value)}"
    assert (await client.put(url, json=named(value), headers={"If-Match": 'W/"9"'})).status_code == 412
    assert (await client.put(url, json=named(value), headers={"If-Match": 'W/"1"'})).status_code == 200


async def test_a_conditional_delete(client, create):
    value = unique()
    id = (await create(named(value))).json()["id"]
    assert (await client.delete(f"Patient?{criteria(value)}")).status_code == 204
    assert (await client.get(f"Patient/{id}")).status_code == 410
    assert (await client.delete(f"Patient?{criteria(value)}")).status_code == 204


async def test_criteria_of_several_parameters_and_of_other_kinds(client, create):
    value = unique()
    id = (await create(named(value, gender="female", name=[{"family": value}]))).json()["id"]
    await create(named(value, gender="male"))
    for query in (
        f"{criteria(value)}&gender=female",
        f"name={value}",
        f"_id={id}",
        f"family:exact={value}&_format=json",
    ):
        answer = await client.put(f"Patient?{query}", json=named(value, gender="female", name=[{"family": value}]))
        assert (answer.status_code, answer.json()["id"]) == (200, id), query
