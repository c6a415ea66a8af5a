"""Profiles that are posted are known by all processes, and those that are deleted are forgotten."""

import asyncpg

from .conftest import Instance, Start, profile


async def supported(instance: Instance, resource_type: str) -> list[str]:
    statement = (await instance.client.get("metadata")).json()
    listed = {item["type"]: item.get("supportedProfile", []) for item in statement["rest"][0]["resource"]}
    return sorted(listed[resource_type])


async def test_a_profile_is_known_by_all_processes(one: Instance, other: Instance) -> None:
    await one.put(profile("p", "Patient"))
    assert await supported(other, "Patient") == []
    await other.hear()
    for instance in (one, other):
        assert await supported(instance, "Patient") == ["http://a.b/p"]
        assert await supported(instance, "Observation") == []


async def test_a_deleted_profile_is_forgotten(one: Instance, other: Instance) -> None:
    await one.put(profile("p", "Patient"), profile("q", "Patient"))
    await other.client.delete("StructureDefinition/p")
    await one.hear()
    assert await supported(one, "Patient") == ["http://a.b/q"]


async def test_a_profile_that_changes_is_read_again(one: Instance, other: Instance) -> None:
    await one.put(profile("p", "Patient"))
    await other.hear()
    await one.put(profile("p", "Observation"))
    await other.hear()
    assert (await supported(other, "Patient"), await supported(other, "Observation")) == ([], ["http://a.b/p"])


async def test_what_was_stored_before_is_known_at_the_start(dsn: str, one: Instance, start: Start) -> None:
    await one.put(profile("p", "Patient"))
    connection = await asyncpg.connect(dsn)
    try:
        # As a version of the server left it that did not count such changes.
        await connection.execute("DELETE FROM conformance_change WHERE resource_type = 'StructureDefinition'")
    finally:
        await connection.close()
    assert await supported(await start(), "Patient") == ["http://a.b/p"]


async def test_types_and_extensions_are_no_profiles_of_resources(one: Instance) -> None:
    extension = profile("e", "Extension", kind="complex-type", context=[{"type": "element", "expression": "Patient"}])
    await one.put(extension)
    assert await supported(one, "Patient") == []
    assert one.process.current.server.structures.structure("http://a.b/e") is not None
