"""What administrators do, and that nobody else does."""

import secrets
from typing import Any

import pytest

from .conftest import JSON, PASSWORD, Process


@pytest.fixture(scope="module")
async def admin(process: Process) -> dict[str, str]:
    return await process.bearer(await process.user("admin"))


async def status(process: Process, headers: dict[str, str], address: str = "/fhir/Patient") -> int:
    async with process.client(**headers) as client:
        return (await client.get(address)).status_code


@pytest.mark.parametrize(
    ("method", "address", "body"),
    [
        ("GET", "/auth/users", None),
        ("POST", "/auth/users", {"username": "xyz", "email": "a@b", "full_name": "x", "roles": ["admin"]}),
        ("PATCH", "/auth/users/SELF", {"roles": ["admin"]}),
        ("PATCH", "/auth/users/SELF", {"fhir_user": "Patient/1"}),
        ("POST", "/auth/users/SELF/password", None),
        ("GET", "/auth/roles", None),
        ("PUT", "/auth/roles/practitioner", {"scopes": "server/admin"}),
        ("DELETE", "/auth/roles/patient", None),
    ],
)
@pytest.mark.parametrize("who", ["nobody", "practitioner", "system", "key without", "login for less"])
async def test_only_administrators_administer(process: Process, who: str, method: str, address: str, body: Any):
    name = await process.user("admin" if who in ("key without", "login for less") else "practitioner")
    headers: dict[str, str] = {}
    if who == "key without":
        headers = await process.key(name, "user/*.cruds")
    elif who == "login for less":
        headers = await process.bearer(name, scope="user/*.cruds openid")
    elif who != "nobody":
        headers = await process.bearer(name)
    async with process.client(**headers) as client:
        answer = await client.request(method, address.replace("SELF", name), json=body, headers=JSON)
    assert answer.status_code == (401 if who == "nobody" else 403)
    assert answer.json()["error"] in ("invalid_token", "insufficient_scope")


async def test_who_is_invited_gets_a_password_that_is_told_once(process: Process, admin: dict[str, str]):
    name = f"i{secrets.token_hex(6)}"
    body = {
        "username": name,
        "email": "i@example.org",
        "full_name": "I",
        "roles": ["nurse"],
        "fhir_user": "Practitioner/9",
    }
    async with process.client(**admin) as client:
        answer = await client.post("/auth/users", json=body, headers=JSON)
        assert answer.status_code == 201
        again = await client.get(f"/auth/users?after={name[:-1]}")
        assert answer.json()["password"] not in again.text
        assert {"username": name, "roles": ["nurse"], "fhir_user": "Practitioner/9"}.items() <= next(
            user for user in again.json()["users"] if user["username"] == name
        ).items()
        assert "password" not in again.text
    await process.login(name, answer.json()["password"])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"roles": ["nobody"]}, 400),
        ({"roles": []}, 400),
        ({"fhir_user": "Observation/1"}, 400),
        ({"fhir_user": "http://x/Patient/1"}, 400),
        ({"fhir_user": "Patient/1/_history/2"}, 400),
        ({"password_hash": "x"}, 400),
        ({"roles": ["nurse", "auditor"]}, 200),
        ({"fhir_user": "Patient/1"}, 200),
        ({"fhir_user": ""}, 200),
    ],
    ids=str,
)
async def test_changes_of_users(process: Process, admin: dict[str, str], change: dict[str, Any], expected: int):
    name = await process.user("practitioner")
    async with process.client(**admin) as client:
        answer = await client.patch(f"/auth/users/{name}", json=change, headers=JSON)
        assert answer.status_code == expected, answer.text
        assert (await client.patch("/auth/users/no' OR 1=1", json={}, headers=JSON)).status_code == 404


async def test_disabling_works_on_all_processes_and_on_all_credentials(
    process: Process, another: Process, admin: dict[str, str]
):
    name = await process.user("admin")
    token, key = await process.bearer(name), await process.key(name, "system/*.cruds")
    for one in (process, another):
        assert [await status(one, token), await status(one, key)] == [200, 200]
    async with process.client(**admin) as client:
        assert (await client.patch(f"/auth/users/{name}", json={"disabled": True}, headers=JSON)).status_code == 200
    for one in (process, another):
        await one.changes.ask()
        assert [await status(one, token), await status(one, key)] == [401, 401]
    async with process.client() as client:
        refused = await client.post(
            "/auth/login",
            data={"username": name, "password": PASSWORD},
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert refused.status_code == 400


async def test_without_hearing_of_changes_nothing_remembered_is_trusted(
    process: Process, another: Process, monkeypatch
):
    token = await process.bearer(await process.user("practitioner"))
    assert await status(another, token) == 200
    assert another.access.authentication.remembered(token["Authorization"]) is not None
    monkeypatch.setattr(another.changes, "_heard", another.changes._heard - 5)
    assert another.access.authentication.remembered(token["Authorization"]) is None
    assert await status(another, token) == 200  # the database is asked instead


async def test_what_is_forgotten_while_somebody_is_identified_is_not_remembered(process: Process):
    token = (await process.bearer(await process.user("practitioner")))["Authorization"]
    authentication = process.access.authentication
    original = authentication._store.sign_in

    async def disabled_meanwhile(id: str):
        found = await original(id)
        await authentication.forget(frozenset(("user:x",)))
        return found

    authentication._store.sign_in = disabled_meanwhile  # type: ignore[method-assign]
    try:
        await authentication.identify(token)
        assert authentication.remembered(token) is None
    finally:
        authentication._store.sign_in = original  # type: ignore[method-assign]


async def test_roles_change_for_those_who_are_signed_in(process: Process, another: Process, admin: dict[str, str]):
    role = f"r_{secrets.token_hex(4)}"
    async with process.client(**admin) as client:
        body = {"scopes": "user/Patient.rs", "description": "Looks at patients"}
        assert (await client.put(f"/auth/roles/{role}", json=body, headers=JSON)).status_code == 204
        token = await another.bearer(await another.user(role))
        await another.changes.ask()
        assert await status(another, token) == 200
        assert await status(another, token, "/fhir/Observation") == 403
        body = {"scopes": "user/Observation.read"}
        assert (await client.put(f"/auth/roles/{role}", json=body, headers=JSON)).status_code == 204
        await another.changes.ask()
        assert await status(another, token) == 403
        assert await status(another, token, "/fhir/Observation") == 200
        assert (await client.delete(f"/auth/roles/{role}")).status_code == 409  # a user has it
        assert role in (await client.get("/auth/roles")).text


@pytest.mark.parametrize(
    "scopes",
    ["user/Patient.xyz", "user/Nothing.rs", "user/Observation.rs?nothing=1", "user/Patient.rs?name=\x00", "x " * 9000],
    ids=lambda text: text[:40],
)
async def test_roles_that_make_no_sense(process: Process, admin: dict[str, str], scopes: str):
    async with process.client(**admin) as client:
        answer = await client.put("/auth/roles/test_wrong", json={"scopes": scopes}, headers=JSON)
        assert answer.status_code == 400
        assert (await client.put("/auth/roles/a b;c", json={"scopes": ""}, headers=JSON)).status_code == 400


async def test_the_last_administrator_stays(process: Process, admin: dict[str, str]):
    async with process.client(**admin) as client:
        users, after = [], ""
        while True:
            page = (await client.get(f"/auth/users?after={after}")).json()
            users += page["users"]
            if page["next"] is None:
                break
            after = page["next"]
        myself = (await client.get("/auth/me")).json()["username"]
        others = [user["username"] for user in users if "admin" in user["roles"] and user["username"] != myself]
        for name in others:
            assert (await client.patch(f"/auth/users/{name}", json={"disabled": True}, headers=JSON)).status_code == 200
        for change in ({"disabled": True}, {"roles": ["nurse"]}):
            assert (await client.patch(f"/auth/users/{myself}", json=change, headers=JSON)).status_code == 409
        no_admin = await client.put("/auth/roles/admin", json={"scopes": "user/*.rs"}, headers=JSON)
        assert no_admin.status_code == 409


async def test_keys_of_programs(process: Process, another: Process):
    name = await process.user("practitioner")
    async with process.client(**await process.bearer(name)) as client:
        body = {"name": "import", "scope": "system/Observation.crs", "expires_in_days": 1}
        made = await client.post("/auth/api-keys", json=body, headers=JSON)
        assert made.status_code == 201
        key = {"X-API-Key": made.json()["api_key"]}
        assert await status(another, key, "/fhir/Observation") == 200
        assert await status(another, key) == 403  # not in its scope
        [listed] = (await client.get("/auth/api-keys")).json()["api_keys"]
        assert made.json()["api_key"] not in str(listed)
        revoked = await client.delete(f"/auth/api-keys/{listed['id']}")
        assert revoked.status_code == 204
        assert (await client.delete(f"/auth/api-keys/{listed['id']}")).status_code == 404
    await another.changes.ask()
    assert await status(another, key, "/fhir/Observation") == 401


async def test_keys_belong_to_their_user(process: Process):
    mine, other = await process.user("practitioner"), await process.user("practitioner")
    key = await process.key(mine, "system/Observation.rs")
    async with process.client(**await process.bearer(mine)) as client:
        [listed] = (await client.get("/auth/api-keys")).json()["api_keys"]
    async with process.client(**await process.bearer(other)) as client:
        assert (await client.get("/auth/api-keys")).json()["api_keys"] == []
        assert (await client.delete(f"/auth/api-keys/{listed['id']}")).status_code == 404
    async with process.client(**key) as client:  # a key makes no keys, and does not sign out
        body = {"name": "more", "scope": "system/*.cruds"}
        assert (await client.post("/auth/api-keys", json=body, headers=JSON)).status_code == 403
        assert (await client.post("/auth/logout")).status_code == 400
        assert (await client.get("/auth/api-keys")).status_code == 403
        assert (await client.delete(f"/auth/api-keys/{listed['id']}")).status_code == 403
        assert (await client.get("/auth/apps")).status_code == 403
    assert await status(process, key, "/fhir/Observation") == 200


async def test_a_token_with_less_makes_no_key_with_more(process: Process):
    narrowed = await process.bearer(await process.user("practitioner"), scope="user/Observation.r")
    async with process.client(**narrowed) as client:
        for scope in ("system/*.cruds", "user/Observation.r"):
            answer = await client.post("/auth/api-keys", json={"name": "k", "scope": scope}, headers=JSON)
            assert answer.status_code == 403, answer.text
        assert (await client.get("/auth/api-keys")).status_code == 403


async def test_a_key_of_a_patient_is_about_the_patient(process: Process):
    name = await process.user("patient", fhir_user="Patient/nobody")
    key = await process.key(name, "system/*.cruds user/*.cruds")
    async with process.client(**key) as client:
        assert (await client.get("/fhir/Patient")).json()["total"] == 0
        assert (await client.get("/fhir/Practitioner")).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {"name": "", "scope": "system/*.rs"},
        {"name": "k", "scope": ""},
        {"name": "k", "scope": "openid\x00"},
        {"name": "k", "scope": "system/Patient.q"},
        {"name": "k", "scope": "system/*.rs", "expires_in_days": 0},
        {"name": "k", "scope": "system/*.rs", "expires_in_days": 100_000},
        {"name": "k", "scope": "system/*.rs", "user_id": "admin"},
        {"name": "k\n", "scope": "system/*.rs"},
    ],
    ids=str,
)
async def test_keys_that_are_refused(process: Process, body: dict[str, Any]):
    async with process.client(**await process.bearer(await process.user("practitioner"))) as client:
        assert (await client.post("/auth/api-keys", json=body, headers=JSON)).status_code == 400


async def test_signing_keys_rotate(process: Process, another: Process):
    from datetime import timedelta

    name = await process.user("practitioner")
    old = await process.bearer(name)
    kid = await process.access.keys.rotate(timedelta(minutes=20))
    await another.changes.ask()
    assert await status(another, old) == 200
    async with another.client() as client:
        published = {key["kid"] for key in (await client.get("/.well-known/jwks.json")).json()["keys"]}
    assert kid in published  # before it signs
    assert process.access.keys.signing()[0] != kid
    newer = await process.access.keys.rotate(timedelta(minutes=20), revoke=True)
    await another.changes.ask()
    await process.changes.ask()
    assert await status(another, old) == 401
    assert await status(process, old) == 401
    assert process.access.keys.signing()[0] == another.access.keys.signing()[0] == newer
    assert await status(another, await process.bearer(name)) == 200
