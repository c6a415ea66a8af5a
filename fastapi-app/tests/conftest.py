"""Fixtures of all tests: a real PostgreSQL (embedded, or the one of --database), migrated by the real migrations."""

import tarfile
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC
from pathlib import Path
from secrets import randbelow

import asyncpg
import httpx
import pytest
from hypothesis import HealthCheck, settings

from fhirserver.access.policy import Unrestricted
from fhirserver.fhir.datatypes.ids import BUCKETS
from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.profiles.built_in import BuiltInStructures
from fhirserver.fhir.profiles.structures import Structures
from fhirserver.fhir.terminology import BuiltIn
from fhirserver.fhir.validation.validator import Validator
from fhirserver.interactions.context import Call, Limits, Server
from fhirserver.main import clock, new_id
from fhirserver.search.extract import Extractor
from fhirserver.storage.embedded import EmbeddedPostgres
from fhirserver.storage.engine import Pool
from fhirserver.storage.migrate import upgrade
from fhirserver.storage.nodes import Nodes
from fhirserver.storage.spread import Spread, workers_of
from fhirserver.storage.terminology import PostgresTerminology
from fhirserver.storage.unit_of_work import PostgresStore
from fhirserver.terminology.known import KnownTerminology
from fhirserver.terminology.sources import Sources
from fhirserver.web.app import build_app
from tests.pgbouncer import pgbouncer

# How fast a machine is decides nothing here.
settings.register_profile("whatever the load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("whatever the load")

SHARED = Path(__file__).parents[3] / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", default=None, help="postgresql://… of a database whose content may be deleted")
    parser.addoption(
        "--pooler",
        choices=["transaction", "prepared"],
        help="through a PgBouncer of the PATH that lends for transactions",
    )
    parser.addoption("--spread", action="store_true", help="ask any node of the cluster of --database")
    parser.addoption("--all-mutations", action="store_true", help="break the examples of R4 at every place")
    parser.addoption(
        "--oracle-cases", type=int, default=2500, help="how many searches server and oracle are compared by"
    )
    parser.addoption("--fault-rounds", type=int, default=1, help="how often each node and process is killed, cut off")
    parser.addoption("--openapi-cases", type=int, default=3, help="how many requests are made of each operation")
    parser.addoption("--oracle-seed", type=int, default=1, help="of the resources that they search")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with HL7's definitions and examples and the Synthea patients."""
    if not SHARED.is_dir():
        pytest.skip(f"SKIPPED FOR LACK OF DATA: there is no {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def example_files(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of HL7's package of R4 examples."""
    folder = tmp_path_factory.mktemp("examples")
    with tarfile.open(shared / "fhir-r4" / "hl7.fhir.r4.examples-4.0.1.tgz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "package"


@pytest.fixture(scope="session")
def definitions() -> Definitions:
    return Definitions.load()


@pytest.fixture(scope="session")
def data_dir() -> Iterator[Path]:
    """A folder for an embedded PostgreSQL. As root, that runs under another account, who has to get in."""
    with tempfile.TemporaryDirectory(prefix="fhirserver-tests-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def dsn(request: pytest.FixtureRequest, data_dir: Path) -> Iterator[str]:
    """The DSN of a migrated database."""
    given = request.config.getoption("--database")
    if given:
        upgrade(given)
        yield given
        return
    embedded = EmbeddedPostgres(data_dir)
    dsn = embedded.start()
    upgrade(dsn)
    yield dsn
    embedded.stop()


@pytest.fixture(scope="session")
async def on_citus(dsn: str) -> bool:
    connection = await asyncpg.connect(dsn)
    try:
        return bool(await connection.fetchval("SELECT count(*) FROM pg_extension WHERE extname = 'citus'"))
    finally:
        await connection.close()


@pytest.fixture
async def empty(dsn: str) -> None:
    """Nothing is stored when the test starts."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("TRUNCATE resource, resource_history, compartment_outside, load_receipt")
    finally:
        await connection.close()


class Statements:
    """The names of the statements that were run, for tests that count them."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, name: str, seconds: float) -> None:
        self.names.append(name)


@pytest.fixture
def statements() -> Statements:
    return Statements()


@pytest.fixture(scope="session")
def open_pool(request: pytest.FixtureRequest, dsn: str) -> Iterator[Callable[[int], Pool]]:
    """A function that makes a pool of a size, through PgBouncer where --pooler says so."""
    pooler = request.config.getoption("--pooler")
    if pooler is None:
        yield lambda size: Pool(dsn, size=size)
        return
    with pgbouncer(dsn, max_prepared=200 if pooler == "prepared" else 0) as through:
        yield lambda size: Pool(through, size=size, pooler=pooler)


@pytest.fixture
async def pool(open_pool: Callable[[int], Pool]) -> AsyncIterator[Pool]:
    pool = open_pool(8)
    yield pool
    await pool.close()


@pytest.fixture
async def nodes(request: pytest.FixtureRequest, pool: Pool) -> Nodes | None:
    """Where the buckets are, where --spread says that they are asked for there."""
    if not request.config.getoption("--spread"):
        return None
    nodes = Nodes(pool, 8, 15.0)
    assert await nodes.look()
    return nodes


@pytest.fixture
async def spread(request: pytest.FixtureRequest, dsn: str, pool: Pool) -> AsyncIterator[Spread | None]:
    """All nodes of the cluster, where --spread says so."""
    if not request.config.getoption("--spread"):
        yield None
        return
    spread = Spread(pool, workers_of(pool, dsn), lambda node: Pool(node, size=8))
    await spread.look()
    assert spread.nodes()
    yield spread
    await spread.close()


@pytest.fixture(scope="session")
def built_in() -> BuiltIn:
    return BuiltIn.load()


@pytest.fixture(scope="session")
def validator(definitions: Definitions, built_in: BuiltIn, structures: Structures) -> Validator:
    return Validator(definitions, built_in).with_structures(structures.structure)


@pytest.fixture(scope="session")
def structures() -> Structures:
    return Structures(BuiltInStructures.load())


@pytest.fixture
def sources(pool: Pool, statements: Statements, built_in: BuiltIn) -> Sources:
    """On a clock that stands still: what was asked for is asked for again only after a write."""
    return Sources(PostgresTerminology(pool, statements), built_in, lambda: 0.0)


@pytest.fixture
async def store(
    pool: Pool, statements: Statements, sources: Sources, spread: Spread | None, nodes: Nodes | None
) -> PostgresStore:
    store = PostgresStore(pool, statements, sources.forget, nodes=nodes, spread=spread)
    await store.open()
    return store


@pytest.fixture
def server(
    definitions: Definitions, validator: Validator, structures: Structures, store: PostgresStore, sources: Sources
) -> Server:
    """The server as it is in production, on the test's database."""
    return Server(
        definitions=definitions,
        validator=validator,
        extractor=Extractor(definitions, UTC),
        store=store,
        terminology=KnownTerminology(sources, clock),
        structures=structures,
        clock=clock,
        new_id=new_id,
        random_bucket=lambda: randbelow(BUCKETS),
        zone=UTC,
        limits=Limits(),
    )


@pytest.fixture
def call() -> Call:
    return Call("http://test/fhir", "test", Unrestricted())


class _Checks:
    async def problems(self) -> dict[str, str | None]:
        return {"database": None}


@pytest.fixture
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the whole application, in this process."""
    app = build_app(server, health_checks=_Checks(), software_version="test")
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Content-Type": "application/fhir+json"}
    async with httpx.AsyncClient(transport=transport, base_url="http://test/fhir", headers=headers) as client:
        yield client
