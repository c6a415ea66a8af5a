"""Delete over HTTP. https://hl7.org/fhir/R4/http.html#delete"""

from .building import patient, unique


async def test_delete_then_410_then_an_update_revives(timed, clock, statements):
    body = (await timed.post("Patient", json=patient())).json()
    address = f"Patient/{body['id']}"
    clock.go_on(seconds=1)
    statements.names.clear()
    answer = await timed.delete(address)
    assert statements.names == ["read", "replace"]
    assert (answer.status_code, answer.headers["etag"], answer.content) == (204, 'W/"2"', b"")
    assert answer.headers["last-modified"] == "Sat, 31 Jan 2026 09:30:01 GMT"
    for url in (address, f"{address}/_history/2"):
        gone = await timed.get(url)
        assert (gone.status_code, gone.json()["issue"][0]["code"]) == (410, "deleted")
    assert (await timed.head(address)).status_code == 410
    assert (await timed.get(f"{address}/_history/1")).json() == body
    clock.go_on(seconds=1)
    revived = await timed.put(address, json=body)
    assert (revived.status_code, revived.headers["etag"]) == (201, 'W/"3"')
    assert revived.headers["location"].endswith(f"/{address}/_history/3")
    history = (await timed.get(f"{address}/_history")).json()
    assert [entry["request"]["method"] for entry in history["entry"]] == ["PUT", "DELETE", "POST"]
    assert [entry["response"]["etag"] for entry in history["entry"]] == ['W/"3"', 'W/"2"', 'W/"1"']


async def test_nothing_left_to_delete_is_no_error_and_no_version(client, create):
    address = f"Patient/{(await create(patient())).json()['id']}"
    assert (await client.delete(address)).status_code == 204
    again = await client.delete(address)
    assert (again.status_code, again.headers["etag"]) == (204, 'W/"2"')
    never = await client.delete(f"Patient/{unique()}")
    assert (never.status_code, "etag" in never.headers) == (204, False)
    assert len((await client.get(f"{address}/_history")).json()["entry"]) == 2


async def test_if_match_of_a_delete(client, create):
    body = (await create(patient())).json()
    address = f"Patient/{body['id']}"
    assert (await client.put(address, json=body)).status_code == 200
    assert (await client.delete(address, headers={"If-Match": 'W/"1"'})).status_code == 412
    assert (await client.get(address)).status_code == 200
    assert (await client.delete(address, headers={"If-Match": 'W/"2"'})).status_code == 204
    for guard in ("*", 'W/"1"'):
        assert (await client.delete(f"Patient/{unique()}", headers={"If-Match": guard})).status_code == 412
