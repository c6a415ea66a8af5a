"""Rate limits: a sliding minute, for each who asks and each address; counted together where processes share."""

from collections.abc import AsyncIterator

import pytest

from fhirserver.access.rate_limits import RateLimit
from fhirserver.settings import AuthSettings, LimitSettings, Settings

from .conftest import FORM, Process, start


class Clock:
    now = 600.0

    def __call__(self) -> float:
        return self.now


def test_a_minute_slides():
    clock = Clock()
    limit = RateLimit(10, clock)
    assert [limit.wait("a") for _ in range(11)] == [0] * 10 + [60]
    assert limit.wait("b") == 0  # each has its own
    clock.now += 59
    assert limit.wait("a") == 1
    clock.now += 31  # half of the next minute: half of the last still counts
    assert [limit.wait("a") > 0 for _ in range(6)] == [False] * 5 + [True]
    clock.now += 120
    assert limit.wait("a") == 0


def test_no_limit_is_none():
    limit = RateLimit(0, Clock())
    assert not any(limit.wait("a") for _ in range(1000))


def test_processes_that_share_count_together():
    clock = Clock()
    one, other = RateLimit(10, clock), RateLimit(10, clock)
    for _ in range(4):
        assert (one.wait("a"), other.wait("a")) == (0, 0)
    totals: dict[tuple[str, int], int] = {}
    for limit in (one, other):
        for key, count in limit.take_unshared().items():
            totals[key] = totals.get(key, 0) + count
    one.share(totals)
    other.share(totals)
    assert [one.wait("a"), one.wait("a")] == [0, 0]
    assert one.wait("a") > 0


def test_the_memory_of_many_addresses_is_bounded():
    limit = RateLimit(1, Clock())
    for number in range(120_000):
        limit.wait(str(number))
    assert len(limit._windows) <= 50_000


@pytest.fixture
async def limited(dsn: str) -> AsyncIterator[Process]:
    limits = LimitSettings(requests_per_minute=5, requests_per_minute_of_address=3, auth_requests_per_minute=4)
    process, pool = await start(dsn, Settings(auth=AuthSettings(), limits=limits))
    yield process
    await pool.close()


async def test_who_asks_too_often_waits(limited: Process):
    token = await limited.bearer(await limited.user("practitioner"))
    async with limited.client(**token) as client:
        answers = [await client.get("/fhir/Patient?_count=0") for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        assert 0 < int(answers[-1].headers["retry-after"]) <= 60
        assert answers[-1].json()["issue"][0]["code"] == "throttled"
    async with limited.client(**await limited.bearer(await limited.user("practitioner"))) as client:
        assert (await client.get("/fhir/Patient?_count=0")).status_code == 200


async def test_an_address_that_guesses_tokens_waits(limited: Process):
    async with limited.client(Authorization="Bearer x.y.z") as client:
        assert [(await client.get("/fhir/Patient")).status_code for _ in range(5)] == [401] * 3 + [429] * 2


async def test_an_address_that_guesses_passwords_waits(limited: Process):
    async with limited.client() as client:
        form = {"username": "nobody", "password": "x"}
        answers = [await client.post("/auth/login", data=form, headers=FORM) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [400] * 4 + [429]
        assert answers[-1].json()["error"] == "temporarily_unavailable"
