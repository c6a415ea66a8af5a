"""Pages of a search: each match once in every order, forwards and backwards, while others write.

https://hl7.org/fhir/R4/http.html#paging and https://hl7.org/fhir/R4/search.html#sort
"""

import random

import httpx
import pytest

from .building import SYSTEM, ids, link, observation, patient, tagged


async def walk(client, url):
    """The pages that follow each other."""
    following = url
    while following is not None:
        answer = await client.get(following)
        assert answer.status_code == 200, answer.text
        yield answer.json()
        following = link(answer.json(), "next")


# What differs between the observations, and by which parameter they are put in order.
VALUES = {
    "date": [{"effectiveDateTime": day} for day in ("2020-05-01", "1999", "2020-05-01T10:00:00Z", "1850-01-01")],
    "value-date": [{"valueDateTime": day} for day in ("2020", "2020-06", "1990-01-01", "2030-01-01")],
    "value-quantity": [{"valueQuantity": {"value": number}} for number in (1.5, -3, 1e20, 1.5)],
    "value-string": [{"valueString": text} for text in ("Zoë", "alpha", "Alpha 2", "ß" * 300)],
    "code": [{"code": {"coding": [{"code": code}]}} for code in ("b", "a", "C", "a")],
    "status": [{"status": code} for code in ("final", "amended", "final", "unknown")],
    "subject": [{"subject": f"Group/{id}"} for id in ("1", "2", "10", "2")],
    "_lastUpdated": [{}, {}, {}, {}],
    "_id": [{}, {}, {}, {}],
    "_profile": [{"meta": {"profile": [url]}} for url in ("http://b", "http://a", "http://c", "http://a")],
}
HAS_NO_MISSING = {"status", "code", "_lastUpdated", "_id"}


@pytest.fixture
def stored_of(store_all, tag):
    """Stores observations with the values of a parameter, and two without; their ids."""

    async def stored_of(parameter):
        made = []
        for elements in [*VALUES[parameter], {}, {}]:
            meta = {"tag": [{"system": SYSTEM, "code": tag}], **elements.get("meta", {})}
            made.append(observation(**{**elements, "meta": meta}))
        random.shuffle(made)
        return await store_all(*made)

    return stored_of


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("descending", ["", "-"])
@pytest.mark.parametrize("parameter", VALUES)
async def test_every_order_there_and_back(client, create, stored_of, tag, parameter, descending, count):
    stored = await stored_of(parameter)
    url = f"Observation?_tag={SYSTEM}|{tag}&_sort={descending}{parameter}"
    whole = (await client.get(f"{url}&_count=100")).json()
    assert sorted(ids(whole)) == sorted(stored)
    if parameter not in HAS_NO_MISSING:
        element = next(iter(VALUES[parameter][0]))
        last = [entry["resource"] for entry in whole["entry"][-2:]]
        assert not any(element in resource and element != "meta" for resource in last)
        assert not any("profile" in resource["meta"] for resource in last)
    forwards = [page async for page in walk(client, f"{url}&_count={count}")]
    assert [id for page in forwards for id in ids(page)] == ids(whole)
    assert len(forwards) == -(-len(stored) // count)
    assert link(forwards[0], "previous") is None
    assert link(forwards[-1], "next") is None
    page = forwards[-1]
    for expected in forwards[-2::-1]:
        await create(observation())
        page = (await client.get(link(page, "previous"))).json()
        assert ids(page) == ids(expected)
    assert link(page, "previous") is None
    again = (await client.get(link(page, "next"))).json()
    assert ids(again) == ids(forwards[1])


async def test_links_are_addresses_of_this_server(client, store_all, tag):
    await store_all(*(tagged(tag, name=[{"family": "x" * 100_000}]) for _ in range(3)))
    bundle = (await client.get(f"Patient?_tag={tag}&_sort=family&_count=1&_pretty=true")).json()
    assert link(bundle, "self") == f"http://test/fhir/Patient?_tag={tag}&_sort=family&_count=1"
    assert link(bundle, "next").startswith("http://test/fhir/Patient?")
    assert len(link(bundle, "next")) < 2000
    assert len([page async for page in walk(client, link(bundle, "next"))]) == 2


async def test_new_and_deleted_matches_between_pages(client, create, store_all, tag):
    stored = sorted(await store_all(*(tagged(tag) for _ in range(7))))
    seen = []
    async for page in walk(client, f"Patient?_tag={tag}&_count=2&_sort=_id"):
        seen += ids(page)
        await create(tagged(tag))
        if len(seen) == 2:
            for gone in (stored[0], stored[3]):  # one that was seen, and one that was not yet
                assert (await client.delete(f"Patient/{gone}")).status_code == 204
    assert seen[: len(stored) - 1] == [id for id in stored if id != stored[3]]
    assert len(seen) == len(set(seen))


async def test_a_last_page_whose_matches_are_gone_is_empty(client, store_all, tag):
    stored = sorted(await store_all(*(tagged(tag) for _ in range(2))))
    first = (await client.get(f"Patient?_tag={tag}&_count=1&_sort=_id")).json()
    await client.delete(f"Patient/{stored[1]}")
    rest = (await client.get(link(first, "next"))).json()
    assert (ids(rest), link(rest, "next")) == ([], None)


async def test_a_cursor_can_not_be_forged(client, store_all, tag):
    await store_all(*(tagged(tag) for _ in range(3)))
    url = f"Patient?_tag={tag}&_count=1"
    cursor = httpx.URL(link((await client.get(url)).json(), "next")).params["_cursor"]
    assert (await client.get(f"{url}&_cursor={cursor}")).status_code == 200
    for position in (0, len(cursor) // 2, len(cursor) - 2):
        letter = "A" if cursor[position] != "A" else "B"
        forged = cursor[:position] + letter + cursor[position + 1 :]
        answer = await client.get(f"{url}&_cursor={forged}")
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "value")
        assert answer.json()["issue"][0]["expression"] == ["_cursor"]
    for other in (
        f"Patient?_tag=other&_cursor={cursor}",
        f"{url}&_sort=family&_cursor={cursor}",
        f"Person?_tag={tag}&_cursor={cursor}",
    ):
        assert (await client.get(other)).status_code == 400, other


async def test_sizes_of_pages(client, store_all, tag):
    await store_all(*(tagged(tag) for _ in range(21)))
    for count, size in (("", 20), ("&_count=5", 5), ("&_count=21", 21), ("&_count=999999999999999999999", 21)):
        assert len(ids((await client.get(f"Patient?_tag={tag}{count}")).json())) == size


async def test_totals(client, store_all, statements, tag):
    await store_all(*(tagged(tag) for _ in range(5)))
    url = f"Patient?_tag={tag}"

    async def total(query):
        statements.names.clear()
        answer = (await client.get(url + query)).json()
        return answer.get("total"), statements.names

    assert await total("") == (5, ["search"])  # all are on the page
    assert await total("&_count=2") == (None, ["search"])
    assert await total("&_count=2&_total=none") == (None, ["search"])
    assert await total("&_count=2&_total=accurate") == (5, ["search", "count"])
    estimate, names = await total("&_count=2&_total=estimate")
    assert isinstance(estimate, int)
    assert names[:2] == ["search", "estimate"]  # Citus, whose plans hide the number, counts then
    assert await total("&_count=0") == (5, ["count"])
    assert await total("&_summary=count") == (5, ["count"])
    first = (await client.get(f"{url}&_count=2&_total=accurate")).json()
    assert [page["total"] async for page in walk(client, link(first, "next"))] == [5, 5]


async def test_matches_count_and_includes_do_not(client, store_all, tag):
    [who] = await store_all(patient())
    meta = tagged(tag)["meta"]
    await store_all(*(observation(f"Patient/{who}", meta=meta) for _ in range(3)))
    pages = [
        page
        async for page in walk(client, f"Observation?_tag={tag}&_count=2&_total=accurate&_include=Observation:subject")
    ]
    assert [page["total"] for page in pages] == [3, 3]
    assert [len(ids(page)) for page in pages] == [2, 1]
    assert [ids(page, "include") for page in pages] == [[who], [who]]
