"""Code systems in tables: SQL selects the same concepts as the evaluation in memory does."""

import random

import pytest

from fhirserver.fhir.outcomes import Unprocessable
from fhirserver.fhir.terminology import CodeSystem
from fhirserver.fhir.terminology.concepts import name_text
from fhirserver.fhir.terminology.expansion import ExpansionRequest, is_named
from fhirserver.fhir.terminology.selection import Above, And, Everything, IsA, Not, Or, Pattern, Property, codes, holds
from fhirserver.storage.terminology import PostgresTerminology
from fhirserver.terminology.store import LoadedSystem, PlacedConcept, Wanted

WORDS = [
    "acute",
    "chronic",
    "heart",
    "lung",
    "asthma",
    "Ärger",
    "niño",
    "pain",
    "left",
    "right",
    "severe",
    "mild",
    "of",
    "the",
    "upper-lobe",
    "5mg",
]


def generated(size: int) -> CodeSystem:
    """Concepts with one to three parents, properties, names in two languages."""
    source = random.Random(size)
    concepts = []
    for number in range(size):
        parents = {f"c{source.randrange(number)}" for _ in range(source.choice((1, 1, 1, 2, 3)))} if number else set()
        properties = [{"code": "parent", "valueCode": code} for code in sorted(parents)]
        properties.append({"code": "inactive", "valueBoolean": source.random() < 0.1})
        if source.random() < 0.7:
            properties.append({"code": "size", "valueInteger": source.randrange(5)})
        concept = {
            "code": f"c{number}",
            "display": " ".join(source.choices(WORDS, k=source.randrange(1, 5))),
            "property": properties,
        }
        if source.random() < 0.3:
            concept["designation"] = [{"language": "es", "value": source.choice(("niño", "dolor agudo", "corazón"))}]
        concepts.append(concept)
    return CodeSystem(
        {"url": "urn:generated", "version": "1", "caseSensitive": True, "content": "complete", "concept": concepts}
    )


def placed(system: CodeSystem) -> list[PlacedConcept]:
    return [
        PlacedConcept(place, concept, list(system.above(concept.code)))
        for place, concept in enumerate(system.concepts())
    ]


@pytest.fixture(scope="module")
def system() -> CodeSystem:
    return generated(400)


@pytest.fixture
async def tables(pool, statements) -> PostgresTerminology:
    return PostgresTerminology(pool, statements)


@pytest.fixture
async def loaded(tables, system) -> LoadedSystem:
    """The generated code system, loaded once."""
    for found in await tables.loaded([system.url]):
        return found
    key = await tables.start_loading(system.header)
    assert await tables.loaded([system.url]) == []  # nobody sees it before it is complete
    await tables.add_concepts(key, placed(system))
    await tables.finish_loading(key, system.header, len(system))
    await tables.clean()
    (found,) = await tables.loaded([system.url])
    return found


SELECTIONS = [
    Everything(),
    codes(["c3", "c1", "nothing", "zero\0byte"]),
    codes([]),
    IsA("c0"),
    IsA("c7"),
    IsA("c7", proper=True),
    IsA("nothing"),
    IsA("zero\0byte"),
    Above("c399"),
    Above("c399", direct=True),
    Above("nothing"),
    Above("nothing", direct=True),
    Property("size", frozenset(("3",))),
    Property("size", frozenset(("3", "4", "x"))),
    Property("size", frozenset()),
    Property("size", None),
    Property("parent", frozenset(("c1",))),
    Property("parent", None),
    Property("inactive", frozenset(("true",))),
    Property("display", frozenset(("acute", "chronic"))),
    Property("code", frozenset(("c5", "zero\0byte"))),
    Property("display", None),
    Property("unknown", None),
    Pattern("code", "c[1-3]?5"),
    Pattern("code", "c1|c2"),
    Pattern("display", ".*(heart|lung).*"),
    And([]),
    Or([]),
    Not(IsA("c5")),
    And([IsA("c1"), Property("size", frozenset(("2",))), Not(codes(["c1"]))]),
    Or([IsA("c50"), And([IsA("c20"), Not(Property("size", None))]), codes(["c0"])]),
    Not(Or([IsA("c1"), IsA("c2"), Above("c399")])),
]


@pytest.mark.parametrize("selection", SELECTIONS, ids=repr)
async def test_sql_and_memory_select_the_same(tables, loaded, system, selection):
    expected = [concept for concept in system.concepts() if holds(selection, concept, system)]
    wanted = Wanted(loaded, selection)
    found = await tables.select(wanted, 0, 1000)
    assert [concept.code for concept in found] == [concept.code for concept in expected]
    assert await tables.count(wanted) == len(expected)
    decided = await tables.decide(loaded, selection, [concept.code for concept in system.concepts()])
    assert {code for code, (_, selected) in decided.items() if selected} == {concept.code for concept in expected}
    active = await tables.select(Wanted(loaded, selection, active_only=True), 0, 1000)
    assert [concept.code for concept in active] == [concept.code for concept in expected if not concept.inactive]


@pytest.mark.parametrize(
    "text",
    [
        "acu",
        "heart lu",
        "ARGER",
        "nino",
        "niño agudo",
        "dolor",
        "lobe",
        "5mg",
        "5",
        "c12",
        "xyz",
        "a' | b:*",
        "l" * 300,
    ],
)
@pytest.mark.parametrize("selection", [Everything(), IsA("c3")], ids=repr)
async def test_sql_and_memory_find_the_same_names(tables, loaded, system, selection, text):
    words = ExpansionRequest(value_set="x", text=text).words
    expected = [
        (len(concept.display), place, concept.code)
        for place, concept in enumerate(system.concepts())
        if holds(selection, concept, system) and is_named(name_text(concept), words)
    ]
    wanted = Wanted(loaded, selection, words)
    assert [concept.code for concept in await tables.select(wanted, 0, 1000)] == [
        code for _, _, code in sorted(expected)
    ]
    assert await tables.count(wanted) == len(expected)
    assert await tables.count(wanted, at_most=3) == min(len(expected), 3)
    page = [
        concept.code for offset in range(0, len(expected) + 7, 7) for concept in await tables.select(wanted, offset, 7)
    ]
    assert page == [code for _, _, code in sorted(expected)]


async def test_concepts_come_back_as_they_went_in(tables, loaded, system):
    found = await tables.decide(loaded, Everything(), [concept.code for concept in system.concepts()])
    assert len(found) == len(system)
    for concept in system.concepts():
        back, _ = found[concept.code]
        for name in ("code", "display", "definition", "inactive", "abstract"):
            assert getattr(back, name) == getattr(concept, name)
        for name in ("designations", "properties", "parents"):
            assert list(getattr(back, name)) == list(getattr(concept, name))


async def test_hierarchy_in_tables(tables, loaded, system):
    for code in ("c0", "c7", "c399"):
        assert set(await tables.above(loaded, code)) == system.above(code) | {code}
    pairs = [("c399", "c0"), ("c0", "c399"), ("c5", "c5"), ("c5", "nothing"), ("c200", "c1"), ("zero\0byte", "c1")]
    assert await tables.subsumed(loaded, pairs) == {
        (below, code): code in system.above(below) | {below}
        for below, code in pairs
        if code != "nothing" and "\0" not in below
    }
    assert await tables.above(loaded, "nothing") == []


async def test_a_new_load_takes_the_place_of_the_old_one(tables):
    url = "urn:replaced"
    for version, size in (("1", 5), ("2", 7), ("1", 3)):
        system = generated(size)
        header = system.header | {"url": url, "version": version}
        key = await tables.start_loading(header)
        await tables.add_concepts(key, placed(system))
        await tables.finish_loading(key, header, size)
    found = await tables.loaded([url])
    assert [(system.version, system.size) for system in found] == [("1", 3), ("2", 7)]
    await tables.clean()
    for system in found:
        assert len(await tables.select(Wanted(system, Everything()), 0, 100)) == system.size
    assert [await tables.remove(url, version) for version in ("1", "1", None)] == [1, 0, 1]
    await tables.clean()
    assert await tables.loaded([url]) == []
    assert await tables.select(Wanted(found[0], Everything()), 0, 100) == []


async def test_what_the_database_cant_evaluate_is_refused(tables, loaded):
    for selection, problem in (
        (Pattern("size", "1"), "codes and displays"),
        (Pattern("code", r"\pL+"), "can't be evaluated"),  # of RE2, not of PostgreSQL
    ):
        with pytest.raises(Unprocessable, match=problem):
            await tables.select(Wanted(loaded, selection), 0, 10)
