"""Taking a code system into its tables. Until it is complete nobody sees it; then it takes the place of the one with
the same URL and version, in one transaction.
"""

import secrets
from collections.abc import Iterable
from typing import Any

import orjson

from fhirserver.fhir.datatypes.text import words_of
from fhirserver.fhir.terminology.concepts import Concept, Json, property_text
from fhirserver.storage.compile.selection import is_a_key, property_key
from fhirserver.storage.statements import Statement, Statements
from fhirserver.terminology.store import PlacedConcept

COLUMNS = (
    "code_system",
    "code",
    "ordinal",
    "display",
    "inactive",
    "abstract",
    "self_key",
    "keys",
    "words",
    "detail",
)
START = Statement(
    "start_code_system",
    "INSERT INTO code_system (key, url, version, header, size, ready) VALUES ($1, $2, $3, $4, 0, false)",
)
REPLACED = Statement(
    "replaced_code_systems", "DELETE FROM code_system WHERE url = $1 AND version = $2 AND key <> $3 AND ready"
)
READY = Statement("ready_code_system", "UPDATE code_system SET ready = true, size = $2, loaded = now() WHERE key = $1")
ABANDONED = Statement(
    "abandoned_code_systems", "DELETE FROM code_system WHERE NOT ready AND loaded < now() - interval '1 day'"
)
CLEAN = Statement(
    "clean_concepts", "DELETE FROM concept WHERE NOT EXISTS (SELECT 1 FROM code_system WHERE key = code_system)"
)


async def start(statements: Statements, header: Json) -> int:
    """Begin a code system; its key. `header` is the CodeSystem resource without concepts."""
    await statements.run(ABANDONED)
    key = secrets.randbits(62)
    await statements.run(START, key, header["url"], header.get("version", ""), orjson.dumps(header))
    return key


async def add(statements: Statements, key: int, concepts: Iterable[PlacedConcept]) -> None:
    """Add concepts to it."""
    await statements.copy("copy_concepts", "concept", COLUMNS, [_row(key, placed) for placed in concepts])


async def finish(statements: Statements, key: int, header: Json, size: int) -> None:
    """Let it take the place of its predecessor."""
    async with statements.driver.transaction():
        await statements.run(REPLACED, header["url"], header.get("version", ""), key)
        await statements.run(READY, key, size)


async def clean(statements: Statements) -> None:
    """Remove the concepts of code systems that are no more, and bring statistics and indexes up to date."""
    await statements.run(CLEAN)
    await statements.driver.execute("VACUUM ANALYZE concept")


async def remove(statements: Statements, url: str, version: str | None) -> int:
    """Take a code system away, or one version of it; how many versions that were."""
    if version is None:
        return await statements.run(Statement("remove_code_system", "DELETE FROM code_system WHERE url = $1"), url)
    sql = "DELETE FROM code_system WHERE url = $1 AND version = $2"
    return await statements.run(Statement("remove_code_system", sql), url, version)


def _row(key: int, placed: PlacedConcept) -> tuple[Any, ...]:
    concept = placed.concept
    self_key = is_a_key(key, concept.code)
    keys = {self_key, *(is_a_key(key, code) for code in placed.ancestors)}
    for name, value in _properties(concept):
        keys |= {property_key(key, name), property_key(key, name, value)}
    detail = {
        "definition": concept.definition,
        "designation": concept.designations,
        "property": concept.properties,
        "parents": concept.parents,
    }
    return (
        key,
        concept.code,
        placed.ordinal,
        concept.display,
        concept.inactive,
        concept.abstract,
        self_key,
        list(keys),
        ([], [word for name in (concept.code, *concept.names()) for word in words_of(name)]),
        orjson.dumps({name: value for name, value in detail.items() if value}),
    )


def _properties(concept: Concept) -> Iterable[tuple[str, str]]:
    for code in concept.parents:
        yield "parent", code
    for item in concept.properties:
        text = property_text(item)
        if text:
            yield item["code"], text
