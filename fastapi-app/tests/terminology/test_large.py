"""A loaded code system of 20,000 concepts: what it costs in statements, and that pages go through all of it."""

import random
from pathlib import Path

import pytest

from fhirserver.jobs.terminology.load import load, open_release
from fhirserver.jobs.terminology.release import Options
from fhirserver.storage.terminology import PostgresTerminology

URL = "http://example.org/large"
SIZE = 20_000
WORDS = [
    f"{first}{second}" for first in ("ba", "ce", "di", "fo", "gu") for second in ("lam", "net", "rix", "sop", "tur")
]


def rows():
    source = random.Random(1)
    yield "code,display,parent,STATUS"
    for number in range(SIZE):
        name = " ".join(source.choices(WORDS, k=source.randrange(2, 6)))
        parent = f"c{source.randrange(max(number // 8, 1))}" if number else ""
        yield f"c{number},{name} {number},{parent},{'RETIRED' if number % 10 == 0 else 'ACTIVE'}"


@pytest.fixture
async def large(server, call, pool, statements, tmp_path: Path) -> None:
    """The code system, loaded once."""
    tables = PostgresTerminology(pool, statements)
    if not await tables.loaded([URL]):
        (tmp_path / "large.csv").write_text("\n".join(rows()))
        await load(
            server, call, tables, open_release(tmp_path / "large.csv", None, Options(URL, "1")), lambda number: None, 0
        )


def value_set(*filters, **include):
    filters = [{"property": property, "op": op, "value": value} for property, op, value in filters]
    part = {"system": URL, **({"filter": filters} if filters else {}), **include}
    return {"resourceType": "ValueSet", "url": "urn:test:large", "status": "active", "compose": {"include": [part]}}


async def expand(client, value_set, **query):
    answer = await client.post("ValueSet/$expand", params=query, json=value_set)
    assert answer.status_code == 200, answer.text
    expansion = answer.json()["expansion"]
    return [item["code"] for item in expansion.get("contains", [])], expansion.get("total")


@pytest.mark.parametrize(
    ("filters", "query", "number", "total", "why"),
    [
        ([], {"count": 20}, 20, SIZE, "of all"),
        ([], {"count": 20, "offset": SIZE - 5}, 5, SIZE, "the end"),
        ([], {"count": 0}, 0, SIZE, "the total"),
        ([("concept", "is-a", "c0")], {"count": 20}, 20, None, "too many to count them on each page"),
        ([("concept", "is-a", "c0")], {"count": 0}, 0, SIZE, "but they are counted if that is asked for"),
        ([("STATUS", "=", "RETIRED")], {"count": 20, "offset": 100}, 20, None, "more than 1,000 are left"),
        ([("STATUS", "=", "RETIRED")], {"count": 20, "offset": 1000}, 20, 2000, "1,000 are left"),
        ([("STATUS", "=", "RETIRED")], {"count": 20, "offset": 1990}, 10, 2000, "the last page"),
        ([("STATUS", "=", "RETIRED")], {}, 2000, 2000, "without pages"),
        ([], {"filter": "balam 777", "count": 20}, None, None, "words"),
    ],
)
async def test_pages(large, client, statements, filters, query, number, total, why):
    await expand(client, value_set(), count=0)
    statements.names.clear()
    codes, counted = await expand(client, value_set(*filters), **query)
    if number is not None:
        assert (len(codes), counted) == (number, total), why
    else:
        assert counted == len(codes) > 0
    assert set(statements.names) <= {"select_concepts", "count_concepts"}
    assert len(statements.names) <= 2


async def test_pages_go_through_everything_once(large, client):
    asked = value_set(("concept", "is-a", "c3"))
    whole, total = await expand(client, asked)
    assert 100 < len(whole) == total
    pages = [
        code for offset in range(0, total, 100) for code in (await expand(client, asked, count=100, offset=offset))[0]
    ]
    assert pages == whole == sorted(whole, key=lambda code: int(code[1:]))


async def test_several_code_systems_are_one_list(large, client):
    gender = "http://hl7.org/fhir/administrative-gender"
    asked = value_set(("STATUS", "=", "RETIRED"))
    include = asked["compose"]["include"]
    include.insert(0, {"system": gender})
    include.append({"system": "http://hl7.org/fhir/address-use"})
    codes, total = await expand(client, asked)
    assert (codes[:5], codes[-5:], total) == (
        ["male", "female", "other", "unknown", "c0"],
        ["home", "work", "temp", "old", "billing"],
        2009,
    )
    for offset in (0, 3, 4, 1500, 2002, 2004, 2008, 2009, 3000):
        page, counted = await expand(client, asked, count=3, offset=offset)
        assert (page, counted) == (codes[offset : offset + 3], 2009 if offset >= 1500 else None)


async def test_what_is_listed_is_in_the_order_of_the_value_set(large, client):
    listed = [{"code": code, "display": f"own {code}"} for code in ("c19999", "c5", "nothing", "c10")]
    assert await expand(client, value_set(concept=listed)) == (["c19999", "c5", "c10"], 3)
    assert await expand(client, value_set(concept=listed), count=1, offset=1) == (["c5"], 3)
    assert await expand(client, value_set(concept=listed), filter="c5") == (["c5"], 1)
    exclude = value_set(concept=listed)
    exclude["compose"]["exclude"] = value_set(("STATUS", "=", "RETIRED"))["compose"]["include"]
    assert await expand(client, exclude) == (["c19999", "c5"], 2)


async def test_too_much_is_refused(large, client):
    answer = await client.post("ValueSet/$expand", json=value_set())
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (422, "too-costly")


async def test_a_code_is_validated_by_one_statement(large, client, statements):
    await client.get(f"CodeSystem/$validate-code?url={URL}&code=c1")
    statements.names.clear()
    for code, result in (("c19999", True), ("nothing", False)):
        answer = await client.get(f"CodeSystem/$validate-code?url={URL}&code={code}")
        assert answer.json()["parameter"][0]["valueBoolean"] is result
        assert statements.names == ["concepts"]
        statements.names.clear()


async def test_many_questions_are_one_statement(large, server, statements):
    from fhirserver.interactions.terminology import CodeQuestion

    questions = [CodeQuestion(code=f"c{number}", system=URL) for number in range(19_990, 20_010)]
    await server.terminology.check(questions[:1])
    statements.names.clear()
    answers = await server.terminology.check(questions)
    assert statements.names == ["concepts"]
    assert [answer.result for answer in answers] == [True] * 10 + [False] * 10
