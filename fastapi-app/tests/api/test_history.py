"""History of a resource, of a type and of everything. https://hl7.org/fhir/R4/http.html#history"""

import pytest

from .building import basic, link, unique


async def versions(client, url):
    """(fullUrl, version) of each entry of a history, page by page."""
    seen, pages = [], 0
    following = url
    while following is not None:
        answer = await client.get(following)
        assert answer.status_code == 200, answer.text
        seen += [(item["fullUrl"], int(item["response"]["etag"][3:-1])) for item in answer.json().get("entry", [])]
        following = link(answer.json(), "next")
        pages += 1
    return seen, pages


@pytest.fixture
async def past(timed, clock, empty):
    """A resource with versions at 10:00, 11:00, a deletion at 12:00, and one at 13:00; another of 10:30."""
    address = f"Basic/{unique()}"
    body = basic(id=address.partition("/")[2])
    clock.now = clock.now.replace(hour=10, minute=0, second=0, microsecond=0)
    await timed.put(address, json=body)
    clock.go_on(minutes=30)
    other = (await timed.post("Basic", json=basic())).json()["id"]
    clock.go_on(minutes=30)
    await timed.put(address, json=body)
    clock.go_on(hours=1)
    await timed.delete(address)
    clock.go_on(hours=1)
    await timed.put(address, json=body)
    return address, f"Basic/{other}"


async def test_the_entries_of_a_history(timed, past, statements):
    address, other = past
    statements.names.clear()
    bundle = (await timed.get(f"{address}/_history")).json()
    assert statements.names == ["history_resource"]
    assert bundle["type"] == "history"
    assert link(bundle, "self") == f"http://test/fhir/{address}/_history"
    assert [item["fullUrl"] for item in bundle["entry"]] == [f"http://test/fhir/{address}"] * 4
    assert [(item["request"]["method"], item["request"]["url"]) for item in bundle["entry"]] == [
        ("PUT", address),
        ("DELETE", address),
        ("PUT", address),
        ("PUT", address),
    ]
    assert [item["response"]["status"][:3] for item in bundle["entry"]] == ["200", "204", "200", "201"]
    assert [item["response"]["lastModified"] for item in bundle["entry"]] == [
        f"2026-01-31T{hour}:00:00.000Z" for hour in (13, 12, 11, 10)
    ]
    assert ["resource" in item for item in bundle["entry"]] == [True, False, True, True]
    [created] = (await timed.get(f"{other}/_history")).json()["entry"]
    assert created["request"] == {"method": "POST", "url": "Basic"}


@pytest.mark.parametrize("scope", ["", "Basic/"])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 100])
async def test_pages_of_a_type_and_of_everything(timed, past, scope, count):
    address, other = (f"http://test/fhir/{item}" for item in past)
    seen, pages = await versions(timed, f"{scope}_history?_count={count}")
    assert seen == [(address, 4), (address, 3), (address, 2), (other, 1), (address, 1)]
    assert pages == -(-5 // count)


@pytest.mark.parametrize("count", [1, 3])
async def test_pages_of_a_resource_while_it_is_written(timed, past, clock, count):
    address, _ = past
    first = (await timed.get(f"{address}/_history?_count={count}")).json()
    clock.go_on(minutes=1)
    await timed.put(address, json=basic(id=address.partition("/")[2]))
    rest, _ = await versions(timed, link(first, "next"))
    assert [number for _, number in rest] == list(range(4 - count, 0, -1))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("_since=2026-01-31T11:00:00Z", [4, 3, 2]),
        ("_since=2026-01-31T11:00:00.001Z", [4, 3]),
        ("_since=2026-01-31T12:00:00%2B01:00", [4, 3, 2]),
        ("_since=2026-01-31", [4, 3, 2, 1]),
        ("_since=2027", []),
        ("_at=2026-01-31T10:20:00Z", [1]),
        ("_at=2026-01-31T11:30:00Z", [2]),
        ("_at=2026-01-31T12:30:00Z", [3]),
        ("_at=2026-01-31T20:00:00Z", [4]),
        ("_at=2026-01-31", [4, 3, 2, 1]),
        ("_at=2026-01-30", []),
        ("_count=0", []),
        ("_since=2026-01-31T11:00:00Z&_at=2026-01-31T12:30:00Z", [3]),
    ],
)
async def test_since_and_at(timed, past, query, expected):
    address, _ = past
    seen, _ = await versions(timed, f"{address}/_history?{query}")
    assert [number for _, number in seen] == expected
    of_type, _ = await versions(timed, f"Basic/_history?{query}")
    assert [number for url, number in of_type if url.endswith(address)] == expected


async def test_parameters_stand_in_the_self_link(timed, past):
    address, _ = past
    answer = await timed.get(f"{address}/_history?_since=2026-01-31&_count=2&_pretty=true&_format=json")
    assert link(answer.json(), "self") == f"http://test/fhir/{address}/_history?_since=2026-01-31&_count=2"


async def test_a_cursor_is_good_for_its_history_only(timed, past):
    address, other = past
    cursor = link((await timed.get(f"{address}/_history?_count=1")).json(), "next").rpartition("=")[2]
    for elsewhere in (f"{other}/_history", "_history", "Basic/_history", "Basic"):
        assert (await timed.get(f"{elsewhere}?_cursor={cursor}")).status_code == 400
