"""By which index PostgreSQL finds the matches, where values are spread unevenly (decisions/0013).

The planner decides by statistics, so these tests say what has to come of them. 24,000 observations of 200 patients:
one patient has a quarter of them, 95 % are final, three have a rare code, half have a common one.
"""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import asyncpg
import orjson
import pytest

from fhirserver.fhir.datatypes.ids import home_bucket, uuid8
from fhirserver.fhir.definitions import Definitions
from fhirserver.interactions.store import NewVersion, StoredResource
from fhirserver.search.extract import Extractor
from fhirserver.search.query.parse import parse_query
from fhirserver.storage.compile import ways
from fhirserver.storage.engine import Pool
from fhirserver.storage.unit_of_work import PostgresStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PATIENTS = [uuid8(bucket * 20, 1_700_000_000_000, bucket) for bucket in range(200)]
HEAVY = PATIENTS[0]
SIZE = 24_000
KEYS, ID, DATE, DATE_UP, UPDATED = (
    f"resource_{name}" for name in ("keys", "by_id", "by_sort_date", "by_sort_date_up", "by_last_updated")
)
OF_A_BUCKET = "resource_pkey"


def observation(number: int, draw: random.Random) -> dict:
    patient = HEAVY if number % 4 == 0 else draw.choice(PATIENTS)
    code = "rare" if number in (100, 9_000, 20_000) else "common" if number % 2 else f"code-{number % 600}"
    return {
        "resourceType": "Observation",
        "id": uuid8(home_bucket(patient), 1_700_000_000_000 + number, draw.getrandbits(62)),
        "status": "amended" if number % 20 == 7 else "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": (datetime(2000, 1, 1, tzinfo=UTC) + timedelta(hours=draw.randrange(220_000))).isoformat(),
        "valueQuantity": {"value": round(draw.lognormvariate(4, 0.3), 2), "unit": "mmHg"},
        "valueCodeableConcept": {"text": "blood" if number % 3 else "bone"},
        "note": [{"text": "x" * 600}],
    }


@pytest.fixture(scope="module")
async def filled(dsn: str, on_citus: bool, definitions: Definitions) -> None:
    if on_citus:
        pytest.skip("SKIPPED ON CITUS: each shard plans by its own statistics, and has too few of these rows")
    extractor, draw = Extractor(definitions, UTC), random.Random(1)
    connection = await asyncpg.connect(dsn)
    pool = Pool(dsn, size=1)
    try:
        await connection.execute("TRUNCATE resource, resource_history, compartment_outside, load_receipt")
        store = PostgresStore(pool, lambda name, seconds: None)
        await store.open()
        for first in range(0, SIZE, 2_000):
            made = [observation(number, draw) for number in range(first, first + 2_000)]
            await store.write([_version(resource, extractor) for resource in made])
        await connection.execute("VACUUM (ANALYZE) resource")
    finally:
        await pool.close()
        await connection.close()


def _version(resource: dict, extractor: Extractor) -> NewVersion:
    entry = extractor.extract(resource, "Observation", "http://test/fhir")
    moment = NOW + timedelta(milliseconds=int(resource["id"][:8] + resource["id"][9:13], 16) % 100_000)
    bucket = home_bucket(resource["id"])
    content = orjson.dumps(resource)
    return NewVersion(StoredResource("Observation", resource["id"], 1, moment, False, content, bucket), entry, None)


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("query", "used", "why"),
    [
        ("", {ID}, "nothing is asked: the newest are the last by id"),
        ("status=final", {ID}, "nearly all match: the first ones of the order do"),
        ("status=amended", {ID}, "one in twenty matches: so do enough of the first hundreds"),
        ("code=common", {ID}, "half of them match"),
        ("code=rare", {KEYS}, "three match: walking along the order would be walking to its end"),
        ("code=rare&status=final", {KEYS}, "the rarer of two clauses decides"),
        ("code=code-2", {KEYS}, "forty match"),
        ("code=nobody", {KEYS}, "a value that nobody has is in no statistics"),
        ("code=nobody&_sort=-date", {KEYS}, "whatever the order"),
        ("code=nobody&_sort=date", {KEYS}, "whatever the order"),
        ("code=nobody&_sort=_lastUpdated", {KEYS}, "whatever the order"),
        ("status=final&_sort=-date", {DATE}, "the latest first"),
        ("status=final&_sort=date", {DATE_UP}, "the earliest first, and those without a date last"),
        ("status=final&_sort=_lastUpdated", {UPDATED}, "oldest version first"),
        ("status=final&_sort=-_lastUpdated", {UPDATED}, "newest version first"),
        ("date=ge2010", {ID}, "more than half match"),
        ("date=ge2010-03-01&date=lt2010-03-04", {DATE, DATE_UP, KEYS}, "three days: from one date to the other"),
        ("date=lt1990", {DATE, DATE_UP, KEYS}, "before all: nothing is looked at"),
        ("date=lt1990&_sort=date", {DATE, DATE_UP, KEYS}, "in any order"),
        ("date=2010-03-01", {KEYS}, "a day is a key"),
        ("value-quantity=gt10", {ID}, "all are greater"),
        ("value-quantity=gt100000", {KEYS}, "a magnitude that none has"),
        ("value-quantity=lt-3", {KEYS}, "none is negative"),
        ("value-quantity=150||mmHg", {KEYS}, "the magnitude of the number as it is written"),
        ("code-value-quantity=http://loinc.org|common$gt100000", {KEYS}, "the magnitude helps where the code doesn't"),
        ("code-value-quantity=http://loinc.org|rare$gt1", {KEYS}, "and the code where the magnitude doesn't"),
        ("code-value-quantity=http://loinc.org|rare$ne1", {KEYS}, "that it has a value, if that can be any"),
        ("code-value-quantity=http://loinc.org|nobody$lt5", {KEYS}, "and neither is too rare for both"),
        ("value-string:contains=one", {ID}, "every third has the text"),
        ("value-string:contains=nowhere", {"resource_strings"}, "no one has it"),
        ("_content=blood", {ID}, "two of three have the word"),
        ("_content=nowhere", {"resource_words"}, "no one has it"),
        ("code:text=nowhere", {"resource_words"}, "no one has it"),
        (f"patient={HEAVY}", {OF_A_BUCKET}, "a quarter of all: the bucket is in the order of ids"),
        (f"patient={HEAVY}&code=rare", {KEYS}, "the code is rarer than the patient"),
        (
            f"patient={PATIENTS[7]}&code=common",
            {KEYS, OF_A_BUCKET},
            "a patient like others: what the bucket has, or what the code has in it",
        ),
        (f"patient={HEAVY}&_sort=-date", {DATE}, "and on the way from the latest one meets them soon"),
        (f"patient={PATIENTS[7]}&_sort=-date", {KEYS, OF_A_BUCKET}, "but not those of another patient"),
        ("date=lt2000-01-03", {DATE_UP, DATE}, "few of the type are as old, whatever those of other types are"),
        ("code=common&date=ge2015&_sort=date", {DATE_UP}, "from the first date on"),
        (f"performer=Practitioner/{PATIENTS[3]}", {KEYS}, "a reference is rare by nature"),
        ("identifier=nobody", {KEYS}, "an identifier too"),
    ],
)
async def test_what_drives(store: PostgresStore, definitions: Definitions, query: str, used: set[str], why: str):
    params = parse_qsl(query, keep_blank_values=True)
    request = parse_query(params, "Observation", definitions, UTC, "http://test/fhir", lenient=False, now=NOW)
    explained = await store.explain(replace(request.bounded(20, 20), restricted=True))
    assert explained.indexes, why
    assert set(explained.indexes) <= used, why


async def test_each_search_is_planned_for_its_own_values(dsn: str, definitions: Definitions):
    pool = Pool(dsn, size=1)
    store = PostgresStore(pool, lambda name, seconds: None)
    await store.open()
    for number in range(10):
        params = [("code", f"code-{number}"), ("value-quantity", f"gt{number}")]
        request = parse_query(params, "Observation", definitions, UTC, "http://test/fhir", lenient=False, now=NOW)
        await store.search(replace(request.bounded(20, 20), restricted=True))
    async with pool.connection() as driver:
        plans = await driver.fetch(
            "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE 'SELECT resource_type%array_positions%'"
        )
    assert [tuple(row) for row in plans] == [(0, 10)]
    await pool.close()


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("code=code-2,code-4,code-6", "few: by keys alone"),
        ("code=common", "many: a part of the order has a page"),
        ("code=code-2&value-quantity=gt50", "several clauses"),
        ("code=common&_sort=_id", "from the other end"),
        ("code=common&value-quantity=lt30", "hardly any of what is common: no part has a page"),
        ("_tag=nobody", "none"),
        ("value-string:contains=one", "a text that many have: the first steps have a page"),
        ("value-string:contains=nowhere", "a text that none has: by the index on strings"),
        ("date=lt2000-02", "few dates"),
        ("date=lt2004&_sort=date", "from the first date on"),
        ("date=ge2020&code=common", "many dates"),
        (f"patient={HEAVY}&_sort=-date", "one patient's, by date"),
    ],
)
async def test_all_ways_lead_to_the_same_pages(
    dsn: str, definitions: Definitions, monkeypatch: pytest.MonkeyPatch, query: str, why: str
):
    for name, value in {"FEW": 100, "_ENTRY": 0.0, "_DENSE": 1.0}.items():
        monkeypatch.setattr(ways, name, value)
    pool = Pool(dsn, size=1)
    knowing, unknowing = (PostgresStore(pool, lambda name, seconds: None) for _ in range(2))
    await knowing.open()
    await unknowing.open()
    unknowing._survey.on_cluster = True  # where there are no statistics
    try:
        expected = await _pages(unknowing, definitions, query)
        assert await _pages(knowing, definitions, query) == expected, why
    finally:
        await pool.close()


async def _pages(store: PostgresStore, definitions: Definitions, query: str) -> list[list[str]]:
    """The ids on the first three pages, and on those that one comes back by."""
    params = parse_qsl(query, keep_blank_values=True)
    request = parse_query(params, "Observation", definitions, UTC, "http://test/fhir", lenient=True, now=NOW)
    request, pages = replace(request.bounded(7, 7), restricted=True), []
    for direction in ("next", "next", "next", "previous", "previous"):
        page = await store.search(request)
        pages.append([version.id for version in page.matches])
        request = replace(request, cursor=getattr(page, direction))
        if request.cursor is None:
            break
    return pages
