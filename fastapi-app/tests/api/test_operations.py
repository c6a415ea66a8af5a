"""Operations over HTTP and in Bundles: addresses, methods, what is not there; the operations on meta."""

import pytest

SPECIAL = {"system": "http://example.org/tags", "code": "special"}
NORMAL = {"system": "http://example.org/tags", "code": "normal"}


def meta(**lists):
    return {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": lists}]}


async def test_versions(client):
    answer = await client.get("$versions")
    assert answer.status_code == 200
    assert {"name": "default", "valueCode": "4.0"} in answer.json()["parameter"]


async def test_meta_is_read_added_to_and_taken_from(client, store_all):
    (id,) = await store_all({"resourceType": "Patient", "meta": {"tag": [SPECIAL]}})

    added = await client.post(f"Patient/{id}/$meta-add", json=meta(tag=[SPECIAL, NORMAL], profile=["http://p"]))
    assert added.status_code == 200, added.text
    read = (await client.get(f"Patient/{id}/$meta")).json()["parameter"][0]["valueMeta"]
    assert (read["versionId"], read["tag"], read["profile"]) == ("2", [SPECIAL, NORMAL], ["http://p"])

    await client.post(f"Patient/{id}/$meta-add", json=meta(tag=[NORMAL]))  # nothing new: no new version
    deleted = await client.post(f"Patient/{id}/$meta-delete", json=meta(tag=[SPECIAL, NORMAL]))
    left = deleted.json()["parameter"][0]["valueMeta"]
    assert (left["versionId"], "tag" in left, left["profile"]) == ("3", False, ["http://p"])


@pytest.mark.parametrize(
    ("method", "address", "status", "code"),
    [
        ("GET", "$nothing", 404, "not-supported"),  # no such operation
        ("GET", "Patient/$versions", 404, "not-supported"),  # not at this level
        ("GET", "Nothing/$meta", 404, "not-supported"),  # no such type
        ("GET", "Patient/unknown/$meta", 404, "not-found"),  # no such resource
        ("GET", "Patient/a_b/$meta", 400, "value"),  # not an id
        ("GET", "Patient/x/$meta-add", 405, "not-supported"),  # it changes something
        ("POST", "Patient/x/$meta-add", 400, "required"),  # without what is to be added
        ("GET", "$versions?other=1", 400, "not-supported"),  # no such parameter
        ("DELETE", "$versions", 405, "not-supported"),  # no such method
    ],
)
async def test_what_is_refused(client, method, address, status, code):
    answer = await client.request(method, address)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (status, code)


async def test_in_a_batch_and_in_a_transaction(send, store_all):
    (id,) = await store_all({"resourceType": "Patient", "meta": {"tag": [SPECIAL]}})
    get = {"request": {"method": "GET", "url": f"Patient/{id}/$meta"}}
    post = {"request": {"method": "POST", "url": f"Patient/{id}/$meta-add"}, "resource": meta(tag=[NORMAL])}
    for kind in ("batch", "transaction"):
        entry = (await send(get, kind=kind)).json()["entry"][0]
        assert entry["resource"]["parameter"][0]["valueMeta"]["tag"] == [SPECIAL]
    assert (await send(post, kind="batch")).json()["entry"][0]["response"]["status"] == "200 OK"
    refused = await send(post)
    assert (refused.status_code, refused.json()["issue"][0]["expression"]) == (400, ["Bundle.entry[0].request.url"])


async def test_operations_are_told(client):
    rest = (await client.get("metadata")).json()["rest"][0]
    assert "versions" in [operation["name"] for operation in rest["operation"]]
    patient = next(item for item in rest["resource"] if item["type"] == "Patient")
    assert {"meta", "meta-add", "meta-delete"} <= {operation["name"] for operation in patient["operation"]}
