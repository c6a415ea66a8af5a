"""What sign-ins and the administration of users and keys leave in the audit log."""

from typing import Any

import pytest
from access.conftest import FORM, JSON, PASSWORD
from access.oauth.browsing import Browser, app

from .conftest import Audited, request_id, send, told
from .test_events import Strict, strict  # noqa: F401


def user_of(event: dict[str, Any]) -> str | None:
    """The name of who asked."""
    names = [agent["name"] for agent in event["agent"] if agent["requestor"] and "name" in agent]
    return names[0] if names else None


def about(event: dict[str, Any]) -> list[str]:
    """What the event is about that is no resource."""
    return [item["what"]["identifier"]["value"] for item in event["entity"] if item.get("role", {}).get("code") == "13"]


async def login(audited: Audited, name: str, password: str) -> tuple[int, dict[str, Any]]:
    async with audited.client() as client:
        answer, id = await send(
            client, "POST", "/auth/login", data={"username": name, "password": password}, headers=FORM
        )
    [event] = await audited.events(id)
    return answer.status_code, event


async def test_a_login_names_the_user(audited: Audited, strict: Strict) -> None:  # noqa: F811
    name = await audited.user("nurse")
    status, event = await login(audited, name, PASSWORD)
    assert (status, told(event), user_of(event)) == (200, ("110122", "E", "0"), name)
    assert event["type"]["code"] == "110114"
    await strict(event)


async def test_a_login_that_fails_names_a_user_whom_there_is_and_nothing_else(audited: Audited) -> None:
    name = await audited.user("nurse")
    status, event = await login(audited, name, "wrong")
    assert (status, told(event), user_of(event)) == (400, ("110122", "E", "4"), name)
    status, event = await login(audited, "my-password-typed-as-a-name", "x")
    assert (status, told(event), user_of(event)) == (400, ("110122", "E", "4"), None)
    assert "my-password" not in str(event)


@pytest.mark.parametrize(
    ("password", "outcome", "why"),
    [(PASSWORD, "0", "signed in, and asked what the app may do"), ("wrong", "4", "there is such a user")],
)
async def test_a_sign_in_for_an_app_names_the_user(audited: Audited, password: str, outcome: str, why: str) -> None:
    name, browser = await audited.user("practitioner"), Browser(audited)
    await browser.open((await app(audited)).address())
    browser.client.headers["X-Request-ID"] = id = request_id()
    await browser.sign_in(name, password)
    event = (await audited.events(id))[0]
    assert (*told(event), user_of(event)) == ("110122", "E", outcome, name), why


async def test_logout_password_users_roles_and_keys(audited: Audited, strict: Strict) -> None:  # noqa: F811
    admin = await audited.user("admin")
    async with audited.client(**await audited.bearer(admin)) as client:
        name = "n" + admin[1:]
        person = {"username": name, "email": "n@example.org", "full_name": "N", "roles": ["nurse"]}
        rows: list[tuple[str, str, Any, int, tuple[str, str, str], list[str]]] = [
            ("POST", "users", person, 201, ("110137", "C", "0"), [name]),
            ("POST", "users", person, 409, ("110137", "C", "4"), [name]),
            ("GET", "users", None, 200, ("users", "R", "0"), []),
            ("PATCH", f"users/{name}", {"disabled": True}, 200, ("110137", "U", "0"), [f"users/{name}"]),
            ("POST", f"users/{name}/password", {}, 200, ("110137", "U", "0"), [f"users/{name}/password"]),
            ("POST", "api-keys", {"name": "k", "scope": "user/Nothing.rs"}, 400, ("110137", "C", "4"), []),
            ("DELETE", "api-keys/none", None, 404, ("110137", "D", "4"), ["api-keys/none"]),
            ("POST", "password", {"current_password": "x", "new_password": "y"}, 400, ("110137", "U", "4"), []),
            ("POST", "refresh", {"refresh_token": "x"}, 400, ("refresh", "E", "4"), []),
            ("POST", "logout", None, 204, ("110123", "E", "0"), []),
            ("GET", "users", None, 401, ("users", "R", "4"), []),
        ]
        for method, path, body, status, kind, names in rows:
            answer, id = await send(client, method, f"/auth/{path}", json=body, headers=JSON)
            assert answer.status_code == status, (path, answer.text)
            [event] = await audited.events(id)
            assert (told(event), about(event)) == (kind, names), path
            if status != 401 and path != "refresh":
                assert user_of(event) == admin
            await strict(event)
            if path == "logout":
                await audited.changes.ask()


async def test_a_program_is_the_client_of_its_user(audited: Audited) -> None:
    name = await audited.user("practitioner")
    key = await audited.key(name, "system/Patient.rs")
    async with audited.client(**key) as client:
        answer, id = await send(client, "GET", "/fhir/Patient?_count=1")
    assert answer.status_code == 200
    [event] = await audited.events(id)
    assert user_of(event) == name
    assert event["agent"][0]["who"]["identifier"]["value"].startswith("key:")
    assert event["agent"][2]["policy"][0].startswith("urn:fhirserver:key:")


async def test_who_is_asked_of_themselves_and_what_is_open_leaves_no_event(audited: Audited) -> None:
    async with audited.client(**await audited.bearer(await audited.user("nurse"))) as client:
        for path in ("/fhir/metadata", "/auth/me", "/health", "/metrics"):
            answer, id = await send(client, "GET", path)
            assert answer.status_code == 200
            assert await audited.events(id) == []
