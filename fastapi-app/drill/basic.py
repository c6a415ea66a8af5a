"""Basic checks: what there is, whether it is reached, whether it is well."""

import json

from drill.drill import Drill
from drill.language import text
from drill.result import CheckFailed, NotApplicable, Result


async def nodes(drill: Drill, result: Result) -> None:
    """Every container or pod runs and is healthy."""
    found = await drill.target.nodes()
    for node in found:
        result.note(f"{node.name}: {node.state}")
    unwell = [node.name for node in found if not node.is_well]
    if unwell or not found:
        raise CheckFailed(text("not well: ", "no están bien: ") + (", ".join(unwell) or text("nothing", "nada")))


async def health(drill: Drill, result: Result) -> None:
    """The API is alive and ready."""
    for path in ("/health/live", "/health/ready"):
        answer = await drill.api.send("GET", path)
        result.expect(f"GET {path}", answer.status, 200)
        result.note(answer.body.decode())


async def database(drill: Drill, result: Result) -> None:
    """The database answers."""
    rows, ms = await drill.target.sql("SELECT version() AS version, current_database() AS name")
    result.note(f"{rows[0]['version']}")
    result.expect(text("database", "base de datos"), rows[0]["name"], "clinical_records")
    result.note(f"{ms:.1f} ms")


async def extension(drill: Drill, result: Result) -> None:
    """Citus is there."""
    await drill.need_citus()
    rows, _ = await drill.target.sql("SELECT citus_version() AS version")
    result.note(rows[0]["version"])


async def workers(drill: Drill, result: Result) -> None:
    """Each worker is registered, active, and answers the coordinator."""
    await drill.need_citus()
    rows, _ = await drill.target.sql(
        "SELECT n.nodename, n.isactive, coalesce(r.success, false) AS answers FROM pg_dist_node n"
        " LEFT JOIN run_command_on_workers('SELECT 1') r USING (nodename, nodeport)"
        " WHERE n.groupid <> 0 AND n.noderole = 'primary' ORDER BY n.nodename"
    )
    for row in rows:
        result.note(f"{row['nodename']}: {'active' if row['isactive'] else 'inactive'}, answers: {row['answers']}")
    active = sum(row["isactive"] and row["answers"] for row in rows)
    drill.figures[text("Workers registered and active", "Workers registrados y activos")] = f"{active}/{len(rows)}"
    if active < len(rows) or not rows:
        raise CheckFailed(f"{active} of {len(rows)}")


async def tables(drill: Drill, result: Result) -> None:
    """The tables are distributed, with shards on each worker."""
    await drill.need_citus()
    rows, _ = await drill.target.sql(
        "SELECT table_name::text, citus_table_type, shard_count FROM citus_tables ORDER BY table_name::text"
    )
    for row in rows:
        result.note(f"{row['table_name']}: {row['citus_table_type']}, {row['shard_count']} shards")
    distributed = [row["table_name"] for row in rows if row["citus_table_type"] == "distributed"]
    if not {"resource", "resource_history"} <= set(distributed):
        raise CheckFailed(text("resource is not distributed", "resource no está distribuida"))


async def capabilities(drill: Drill, result: Result) -> None:
    """The server says what it can do."""
    found = await drill.api.get("/fhir/metadata")
    result.expect("fhirVersion", found["fhirVersion"], "4.0.1")
    result.note(f"{len(found['rest'][0]['resource'])} resource types")


async def login(drill: Drill, result: Result) -> None:
    """The administrator can log in, and nobody else can."""
    anonymous = type(drill.api)(drill.api.url)
    try:
        status = (await anonymous.send("GET", "/fhir/Patient?_count=1")).status
    finally:
        anonymous.close()
    if status == 200:
        raise NotApplicable(text("this API asks for no login", "esta API no pide iniciar sesión"))
    result.expect(text("without a login", "sin iniciar sesión"), status, 401)
    if drill.target.account is None:
        raise CheckFailed(
            text("set FHIR_ADMIN_USERNAME and FHIR_ADMIN_PASSWORD", "defina FHIR_ADMIN_USERNAME y FHIR_ADMIN_PASSWORD")
        )
    await drill.api.log_in()
    await drill.api.get("/fhir/Patient?_count=1")
    result.note(text("with a login: 200", "con sesión: 200"))


async def round_trip(drill: Drill, result: Result) -> None:
    """What is written is read back, changed and deleted."""
    body = {"resourceType": "Basic", "code": {"text": "drill"}}
    made = await drill.api.send("POST", "/fhir/Basic", body)
    result.expect("create", made.status, 201)
    path = f"/fhir/Basic/{json.loads(made.body)['id']}"
    result.expect("read", (await drill.api.get(path))["code"], body["code"])
    changed = body | {"id": path.rpartition("/")[2], "code": {"text": "changed"}}
    result.expect("update", (await drill.api.send("PUT", path, changed)).status, 200)
    result.expect("delete", (await drill.api.send("DELETE", path)).status, 204)
    result.expect("read", (await drill.api.send("GET", path)).status, 410)
