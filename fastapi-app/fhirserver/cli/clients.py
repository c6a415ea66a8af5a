"""`fhirserver clients`: apps and systems that get tokens here. The operator needs no token."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from fhirserver.access.oauth.store import Client
from fhirserver.access.service import Access
from fhirserver.cli.database import DataDir, fail
from fhirserver.cli.users import administer

app = typer.Typer(no_args_is_help=True, help="Apps and systems that get tokens here (SMART on FHIR).")

Id = Annotated[str, typer.Argument(help="The client_id.")]


@app.command("create")
def clients_create(
    name: Annotated[str, typer.Argument(help="The name that people are shown.")],
    scope: Annotated[str, typer.Argument(help="The most that it may get: 'launch/patient patient/*.rs'")],
    redirect_uri: Annotated[list[str] | None, typer.Option(help="Where people are sent back to.")] = None,
    method: Annotated[str, typer.Option(help="none, client_secret_basic or private_key_jwt")] = "none",
    jwks_file: Annotated[Path | None, typer.Option(help="File with the public keys (JWK Set).", exists=True)] = None,
    jwks_uri: Annotated[str | None, typer.Option(help="Where the public keys are.")] = None,
    data: DataDir = None,
) -> None:
    """Register a client. Prints its client_id, and its secret if it has one, which is not told again."""
    jwks = _keys(jwks_file) if jwks_file is not None else None
    client, secret = administer(
        data, lambda access: access.oauth.clients.add(name, method, scope, redirect_uri or (), jwks, jwks_uri)
    )
    print(client.id, *([secret] if secret is not None else []))


def _keys(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        fail(f"{file} is not JSON")


@app.command("list")
def clients_list(data: DataDir = None) -> None:
    """Print all clients: client_id, name, how it proves who it is, scope, whether disabled."""

    async def work(access: Access) -> list[Client]:
        found: list[Client] = []
        while page := await access.oauth.clients.page(found[-1].id if found else "", 500):
            found += page
        return found

    for client in administer(data, work):
        state = "disabled" if client.disabled else "enabled"
        print(client.id, client.name, client.method, client.scope, state, sep="\t")


@app.command("disable")
def clients_disable(id: Id, data: DataDir = None) -> None:
    """Give the client no more tokens; those that it has end within seconds."""
    administer(data, lambda access: access.oauth.clients.change(id, disabled=True))


@app.command("enable")
def clients_enable(id: Id, data: DataDir = None) -> None:
    """Give the client tokens again."""
    administer(data, lambda access: access.oauth.clients.change(id, disabled=False))


@app.command("secret")
def clients_secret(id: Id, data: DataDir = None) -> None:
    """Make a new secret for the client, and print it. The one before is no longer good."""
    print(administer(data, lambda access: access.oauth.clients.new_secret(id)))
