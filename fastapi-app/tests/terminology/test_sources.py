"""How soon changes are seen, and what is kept in memory."""

from dataclasses import replace
from uuid import uuid4

import pytest

from fhirserver.fhir.datatypes.versions import order_of_version
from fhirserver.fhir.terminology.code_system import CodeSystem
from fhirserver.interactions.create import create
from fhirserver.interactions.delete import delete
from fhirserver.interactions.terminology import CodeQuestion
from fhirserver.interactions.update import update
from fhirserver.storage.terminology import PostgresTerminology
from fhirserver.storage.unit_of_work import PostgresStore
from fhirserver.terminology import sources as module
from fhirserver.terminology.known import KnownTerminology
from fhirserver.terminology.sources import Sources


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def other(server, pool, statements, built_in, clock):
    """Another process: nobody tells it what this one writes."""
    sources = Sources(PostgresTerminology(pool, statements), built_in, clock)
    store = PostgresStore(pool, statements, sources.forget)
    await store.open()
    return replace(server, store=store, terminology=KnownTerminology(sources, server.clock))


def code_system(url, *codes):
    return {
        "resourceType": "CodeSystem",
        "url": url,
        "status": "active",
        "content": "complete",
        "concept": [{"code": code} for code in codes],
    }


async def knows(server, url, code):
    (answer,) = await server.terminology.check([CodeQuestion(code=code, system=url)])
    return answer.result


async def test_other_processes_see_a_change_after_a_second(server, other, call, clock):
    url = f"urn:test:{uuid4()}"
    assert [await knows(each, url, "a") for each in (server, other)] == [None, None]
    written = (await create(server, call, "CodeSystem", code_system(url, "a"))).stored
    assert [await knows(each, url, "a") for each in (server, other)] == [True, None]
    clock.now += 1.1
    assert await knows(other, url, "a") is True
    await update(server, call, "CodeSystem", written.id, code_system(url, "b") | {"id": written.id})
    assert [await knows(each, url, "b") for each in (server, other)] == [True, False]
    clock.now += 1.1
    assert await knows(other, url, "b") is True
    await delete(server, call, "CodeSystem", written.id)
    assert await knows(server, url, "b") is None
    clock.now += 1.1
    assert await knows(other, url, "b") is None


async def test_what_is_written_while_it_is_asked_for_is_asked_for_again(
    server, call, built_in, pool, statements, clock
):
    url = f"urn:test:{uuid4()}"

    class Slow(PostgresTerminology):
        """Another request of this process writes before the answer is here."""

        async def stored(self, resource_type, parameter, uris):
            found = await super().stored(resource_type, parameter, uris)
            if not written:
                written.append((await create(server, call, "CodeSystem", code_system(url, "a"))).stored)
                sources.forget({"CodeSystem"})
            return found

    written = []
    sources = Sources(Slow(pool, statements), built_in, clock)
    terminology = KnownTerminology(sources, server.clock)
    results = [(await terminology.check([CodeQuestion(code="a", system=url)]))[0].result for _ in range(2)]
    assert results == [None, True]


async def test_what_is_forgotten_while_it_is_asked_for_is_still_answered(server, built_in, pool, statements, clock):
    class Forgetting(PostgresTerminology):
        """Another request of this process writes before the answer is here."""

        async def stored(self, resource_type, parameter, uris):
            found = await super().stored(resource_type, parameter, uris)
            if urls[1] in uris:
                sources.forget({"CodeSystem", "ValueSet"})
            return found

    sources = Sources(Forgetting(pool, statements), built_in, clock)
    terminology = KnownTerminology(sources, server.clock)
    urls = [f"urn:test:{uuid4()}" for _ in range(2)]
    for number in (1, 2):
        asked = [CodeQuestion(code="a", system=url, value_set=url) for url in urls[:number]]
        assert [answer.result for answer in await terminology.check(asked)] == [None] * number


async def test_the_least_used_resources_are_given_up(server, call, sources, statements, monkeypatch):
    urls = [f"urn:test:{uuid4()}" for _ in range(3)]
    sizes = [len((await create(server, call, "CodeSystem", code_system(url, "a"))).stored.live) for url in urls]
    monkeypatch.setattr(module, "_KEPT_BYTES", sum(sizes[:2]) + 10)
    reads = []
    for url in (urls[0], urls[1], urls[0], urls[2], urls[0], urls[1]):
        statements.names.clear()
        assert await knows(server, url, "a") is True
        reads.append(statements.names.count("read_many"))
    assert reads == [1, 1, 0, 1, 0, 1]


async def test_one_that_is_larger_than_the_limit_is_kept_alone(server, call, monkeypatch, statements):
    monkeypatch.setattr(module, "_KEPT_BYTES", 10)
    monkeypatch.setattr(module, "_LARGE", 10)  # and is read beside the event loop
    url = f"urn:test:{uuid4()}"
    await create(server, call, "CodeSystem", code_system(url, "a"))
    assert await knows(server, url, "a") is True
    statements.names.clear()
    assert await knows(server, url, "a") is True
    assert statements.names == []


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.9", "1.10"),
        ("2023-12-01", "2024-02-01"),
        ("20230131", "20240101"),
        ("4.0", "4.0.1"),
        ("1.0-draft", "1.0-2"),
        (None, "1"),
        ("http://snomed.info/sct/1/version/20230131", "http://snomed.info/sct/1/version/20240131"),
    ],
)
def test_the_order_of_versions(older, newer):
    assert order_of_version(older) < order_of_version(newer)


async def test_stored_code_systems_without_concepts_or_supplements_decide_nothing(server, call):
    url = f"urn:test:{uuid4()}"
    await create(server, call, "CodeSystem", {**code_system(url, "a"), "content": "supplement", "supplements": "urn:x"})
    await create(
        server,
        call,
        "CodeSystem",
        {"resourceType": "CodeSystem", "url": url, "status": "active", "content": "not-present"},
    )
    assert await knows(server, url, "a") is None
    fragment = {**code_system(url, "a"), "content": "fragment"}
    await create(server, call, "CodeSystem", fragment)
    assert [await knows(server, url, code) for code in ("a", "b")] == [True, None]
    assert not CodeSystem(fragment).is_complete
