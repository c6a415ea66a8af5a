"""`fhirserver users` and `fhirserver keys`: who may come in. The operator needs no token."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from fhirserver.access.service import Access
from fhirserver.access.store import User
from fhirserver.cli.database import DataDir, database
from fhirserver.main import OpenAccess
from fhirserver.settings import load_settings

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Users: who may sign in, and as what.")
keys = typer.Typer(no_args_is_help=True, help="The keys that sign access tokens.")

Username = Annotated[str, typer.Argument(help="The username.")]


def administer(data: Path | None, work: Callable[[Access], Awaitable[T]]) -> T:
    """What the work gives, done with the server's access control."""
    settings = load_settings()

    async def run(dsn: str) -> T:
        async with OpenAccess(settings, dsn)() as access:
            return await work(access)

    with database(settings, data) as dsn:
        return asyncio.run(run(dsn))


@app.command("create-admin")
def users_create_admin(
    username: Username = "admin",
    password_stdin: Annotated[bool, typer.Option(help="Read the password instead of making one.")] = False,
    unless_any: Annotated[bool, typer.Option(help="Do nothing if there is an administrator.")] = False,
    data: DataDir = None,
) -> None:
    """Create an administrator. Prints the username and the password that was made, which is not told again."""
    password = sys.stdin.readline().rstrip("\n") if password_stdin else None

    async def work(access: Access) -> str | None:
        if unless_any and await access.administration.has_admin():
            return None
        _, generated = await access.administration.add_admin(username, password)
        return generated or ""

    generated = administer(data, work)
    if generated is not None:
        print(username, generated)


@app.command("create")
def users_create(
    username: Username,
    roles: Annotated[list[str], typer.Argument(help="Roles such as practitioner, nurse, patient.")],
    email: Annotated[str, typer.Option(help="Email address.")],
    full_name: Annotated[str, typer.Option(help="The name to show.")],
    fhir_user: Annotated[str | None, typer.Option(help="The resource that stands for the user: Patient/1")] = None,
    data: DataDir = None,
) -> None:
    """Create a user. Prints the username and a password, which is not told again."""
    _, generated = administer(
        data, lambda access: access.administration.add_user(username, email, full_name, roles, fhir_user)
    )
    print(username, generated)


@app.command("list")
def users_list(data: DataDir = None) -> None:
    """Print all users: username, roles, the resource that stands for the user, whether disabled."""

    async def work(access: Access) -> list[User]:
        found: list[User] = []
        while page := await access.administration.users(found[-1].username if found else "", 500):
            found += page
        return found

    for user in administer(data, work):
        print(
            user.username, ",".join(user.roles), user.fhir_user or "-", "disabled" if user.disabled else "enabled",
            sep="\t",
        )  # fmt: skip


@app.command("disable")
def users_disable(username: Username, data: DataDir = None) -> None:
    """Let the user in no more: what they are signed in with ends within seconds."""
    administer(data, lambda access: access.administration.change_user(username, disabled=True))


@app.command("enable")
def users_enable(username: Username, data: DataDir = None) -> None:
    """Let the user in again."""
    administer(data, lambda access: access.administration.change_user(username, disabled=False))


@app.command("roles")
def users_roles(
    username: Username,
    roles: Annotated[list[str] | None, typer.Argument(help="The roles to have from now on.")] = None,
    fhir_user: Annotated[str | None, typer.Option(help="The resource that stands for the user: Patient/1")] = None,
    data: DataDir = None,
) -> None:
    """Print the roles of a user, or change them, or the resource that stands for the user."""
    user = administer(
        data, lambda access: access.administration.change_user(username, roles=roles or None, fhir_user=fhir_user)
    )
    print(user.username, ",".join(user.roles), user.fhir_user or "-", sep="\t")


@app.command("password")
def users_password(username: Username, data: DataDir = None) -> None:
    """Make a new password for the user, and print it. What they are signed in with ends."""
    print(username, administer(data, lambda access: access.administration.reset_password(username)))


@keys.command("rotate")
def keys_rotate(
    revoke: Annotated[bool, typer.Option(help="What older keys have signed is no longer good.")] = False,
    data: DataDir = None,
) -> None:
    """Make a new key for access tokens. What older ones have signed stays good until it expires."""
    lifetime = timedelta(minutes=load_settings().auth.access_token_minutes + 10)
    print(administer(data, lambda access: access.keys.rotate(lifetime, revoke=revoke)))


@keys.command("list")
def keys_list(data: DataDir = None) -> None:
    """Print the keys that are good."""

    async def work(access: Access) -> list[str]:
        return [key["kid"] for key in access.keys.jwks()["keys"]]

    print("\n".join(administer(data, work)))
