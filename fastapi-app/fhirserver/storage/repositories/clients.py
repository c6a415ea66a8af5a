"""Clients of the authorization server, which every node has, and what is good once, spread over the shards.

Who writes in a bucket removes what has expired there.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from fhirserver.access.oauth.store import Client, Once
from fhirserver.access.store import SignIn
from fhirserver.storage.repositories.identities import announce
from fhirserver.storage.repositories.sign_ins import SIGN_IN_COLUMNS, add_sign_in, bucket_of, sign_in_of
from fhirserver.storage.statements import Statement, Statements

_COLUMNS = "id, name, method, redirect_uris, scope, created, jwks, jwks_uri, secret_digest, disabled"

ADD_CLIENT = Statement(
    "add_client", f"INSERT INTO oauth_client ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
)
CLIENT = Statement("client", f"SELECT {_COLUMNS} FROM oauth_client WHERE id = $1")
CLIENTS = Statement("clients", f"SELECT {_COLUMNS} FROM oauth_client WHERE id > $1 ORDER BY id LIMIT $2")
SAVE_CLIENT = Statement(
    "save_client",
    "UPDATE oauth_client SET name = $2, method = $3, redirect_uris = $4, scope = $5, created = $6, jwks = $7,"
    " jwks_uri = $8, secret_digest = $9, disabled = $10 WHERE id = $1",
)
ADD_ONCE = Statement(
    "add_once",
    "INSERT INTO single_use (bucket, id, content, expires) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
)
FORGET_ONCE = Statement("forget_once", "DELETE FROM single_use WHERE bucket = $1 AND expires < $2")
ONCE = Statement("once", "SELECT content, used_for FROM single_use WHERE bucket = $1 AND id = $2")
USE_ONCE = Statement(
    "use_once", "UPDATE single_use SET used_for = $3 WHERE bucket = $1 AND id = $2 AND used_for IS NULL"
)
APPS = Statement(
    "apps",
    f"SELECT {SIGN_IN_COLUMNS}, c.name AS client_name FROM sign_in AS s JOIN oauth_client AS c ON c.id = s.client_id"
    " WHERE s.user_id = $1 AND s.kind = 'app' AND NOT s.revoked AND s.expires > $2 ORDER BY s.created, s.id",
)
REVOKE_APP = Statement(
    "revoke_app",
    "UPDATE sign_in SET revoked = true WHERE user_id = $1 AND client_id = $2 AND kind = 'app' AND NOT revoked",
)


def _client_of(row: Any) -> Client:
    return Client(
        row["id"],
        row["name"],
        row["method"],
        tuple(row["redirect_uris"]),
        row["scope"],
        row["created"],
        orjson.loads(row["jwks"]) if row["jwks"] is not None else None,
        row["jwks_uri"],
        row["secret_digest"],
        row["disabled"],
    )


def _values(client: Client) -> tuple[Any, ...]:
    return (
        client.id,
        client.name,
        client.method,
        list(client.redirect_uris),
        client.scope,
        client.created,
        orjson.dumps(client.jwks) if client.jwks is not None else None,
        client.jwks_uri,
        client.secret_digest,
        client.disabled,
    )


async def add_client(statements: Statements, client: Client) -> None:
    await statements.run(ADD_CLIENT, *_values(client))


async def client(statements: Statements, id: str) -> Client | None:
    row = await statements.row(CLIENT, id)
    return _client_of(row) if row is not None else None


async def clients(statements: Statements, after: str, count: int) -> Sequence[Client]:
    return [_client_of(row) for row in await statements.rows(CLIENTS, after, count)]


async def save_client(statements: Statements, client: Client) -> None:
    await statements.run(SAVE_CLIENT, *_values(client))
    await announce(statements, f"client:{client.id}")


async def add_once(
    statements: Statements, id: str, content: Mapping[str, Any], now: datetime, expires: datetime
) -> bool:
    bucket = bucket_of(id)
    await statements.run(FORGET_ONCE, bucket, now)
    return await statements.run(ADD_ONCE, bucket, id, orjson.dumps(content), expires) == 1


async def once(statements: Statements, id: str) -> Once | None:
    row = await statements.row(ONCE, bucket_of(id), id)
    return Once(orjson.loads(row["content"]), row["used_for"]) if row is not None else None


async def use_once(statements: Statements, id: str, used_for: str) -> bool:
    return await statements.run(USE_ONCE, bucket_of(id), id, used_for) == 1


async def redeem(statements: Statements, id: str, sign_in: SignIn) -> bool:
    """To be called in a transaction: who finds it used finds what it was used for as well."""
    if not await use_once(statements, id, sign_in.id):
        return False
    await add_sign_in(statements, sign_in)
    return True


async def apps(statements: Statements, user_id: str, now: datetime) -> Sequence[tuple[str, SignIn]]:
    return [(row["client_name"], sign_in_of(row)) for row in await statements.rows(APPS, user_id, now)]


async def revoke_app(statements: Statements, user_id: str, client_id: str) -> bool:
    revoked = await statements.run(REVOKE_APP, user_id, client_id)
    await announce(statements, f"user:{user_id}")
    return revoked > 0
