"""Users, roles and signing keys: small tables that every node has; and the announcements of what changed."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson

from fhirserver.access.store import Role, SigningKey, User
from fhirserver.storage.statements import Statement, Statements

USER_COLUMNS = "id, username, email, full_name, password_hash, roles, created, fhir_user, disabled"
_VALUES = "$1, $2, $3, $4, $5, $6, $7, $8, $9"
_SIGNING_KEYS_LOCK = 0x6B657973

ADD_USER = Statement(
    "add_user", f"INSERT INTO app_user ({USER_COLUMNS}) VALUES ({_VALUES}) ON CONFLICT (username) DO NOTHING"
)
USER = Statement("user", f"SELECT {USER_COLUMNS} FROM app_user WHERE id = $1")
USER_NAMED = Statement("user_named", f"SELECT {USER_COLUMNS} FROM app_user WHERE username = $1")
USERS = Statement("users", f"SELECT {USER_COLUMNS} FROM app_user WHERE username > $1 ORDER BY username LIMIT $2")
USER_IN_ROLES = Statement(
    "user_in_roles", "SELECT 1 FROM app_user WHERE roles && $1::text[] AND NOT disabled AND id <> $2 LIMIT 1"
)
SAVE_USER = Statement(
    "save_user",
    "UPDATE app_user SET username = $2, email = $3, full_name = $4, password_hash = $5, roles = $6, created = $7,"
    " fhir_user = $8, disabled = $9 WHERE id = $1",
)
ROLES = Statement("roles", "SELECT name, scopes, description FROM app_role ORDER BY name")
SAVE_ROLE = Statement(
    "save_role",
    "INSERT INTO app_role (name, scopes, description) VALUES ($1, $2, $3)"
    " ON CONFLICT (name) DO UPDATE SET scopes = excluded.scopes, description = excluded.description",
)
REMOVE_ROLE = Statement(
    "remove_role",
    "DELETE FROM app_role WHERE name = $1 AND NOT EXISTS (SELECT 1 FROM app_user WHERE roles && ARRAY[$1])",
)
SIGNING_KEYS = Statement(
    "signing_keys", "SELECT kid, private_pem, public_jwk, active, retires FROM signing_key ORDER BY active, kid"
)
LOCK_SIGNING_KEYS = Statement("lock_signing_keys", "SELECT pg_advisory_xact_lock($1)")
ADD_SIGNING_KEY = Statement(
    "add_signing_key",
    "INSERT INTO signing_key (kid, private_pem, public_jwk, active, retires) VALUES ($1, $2, $3, $4, $5)",
)
RETIRE_SIGNING_KEYS = Statement(
    "retire_signing_keys", "UPDATE signing_key SET retires = $2 WHERE kid <> $1 AND coalesce(retires, $2) >= $2"
)
FORGET_SIGNING_KEYS = Statement("forget_signing_keys", "DELETE FROM signing_key WHERE retires < $1")
ANNOUNCE = Statement("announce", "INSERT INTO access_change (id, subject) VALUES ($1, $2)")
FORGET_CHANGES = Statement("forget_changes", "DELETE FROM access_change WHERE at < now() - interval '10 minutes'")
ANNOUNCED = Statement("announced", "SELECT id, subject FROM access_change WHERE at > now() - interval '1 minute'")


def user_of(row: Any) -> User:
    """The user in a row that has `USER_COLUMNS`."""
    return User(
        row["id"],
        row["username"],
        row["email"],
        row["full_name"],
        row["password_hash"],
        tuple(row["roles"]),
        row["created"],
        row["fhir_user"],
        row["disabled"],
    )


def _values(user: User) -> tuple[Any, ...]:
    return (
        user.id,
        user.username,
        user.email,
        user.full_name,
        user.password_hash,
        list(user.roles),
        user.created,
        user.fhir_user,
        user.disabled,
    )


async def add_user(statements: Statements, user: User) -> bool:
    """False if the username is taken."""
    return await statements.run(ADD_USER, *_values(user)) == 1


async def user(statements: Statements, id: str) -> User | None:
    row = await statements.row(USER, id)
    return user_of(row) if row is not None else None


async def user_named(statements: Statements, username: str) -> User | None:
    row = await statements.row(USER_NAMED, username)
    return user_of(row) if row is not None else None


async def users(statements: Statements, after: str, count: int) -> Sequence[User]:
    return [user_of(row) for row in await statements.rows(USERS, after, count)]


async def has_user_in(statements: Statements, roles: Sequence[str], besides: str) -> bool:
    return await statements.row(USER_IN_ROLES, list(roles), besides) is not None


async def save_user(statements: Statements, user: User) -> None:
    await statements.run(SAVE_USER, *_values(user))
    await announce(statements, f"user:{user.id}")


async def roles(statements: Statements) -> Sequence[Role]:
    return [Role(row["name"], row["scopes"], row["description"]) for row in await statements.rows(ROLES)]


async def save_role(statements: Statements, role: Role) -> None:
    await statements.run(SAVE_ROLE, role.name, role.scopes, role.description)
    await announce(statements, "roles")


async def remove_role(statements: Statements, name: str) -> bool:
    if await statements.run(REMOVE_ROLE, name) != 1:
        return False
    await announce(statements, "roles")
    return True


async def signing_keys(statements: Statements) -> Sequence[SigningKey]:
    return [
        SigningKey(row["kid"], row["private_pem"], orjson.loads(row["public_jwk"]), row["active"], row["retires"])
        for row in await statements.rows(SIGNING_KEYS)
    ]


async def add_signing_key(statements: Statements, key: SigningKey, retire_others: datetime | None) -> None:
    """Add it; without `retire_others` only if there is none. Those that retired before the new one was made go."""
    await statements.rows(LOCK_SIGNING_KEYS, _SIGNING_KEYS_LOCK)
    if retire_others is None:
        if await statements.row(SIGNING_KEYS) is not None:
            return
    else:
        await statements.run(FORGET_SIGNING_KEYS, key.active)
        await statements.run(RETIRE_SIGNING_KEYS, key.kid, retire_others)
    jwk = orjson.dumps(key.public_jwk)
    await statements.run(ADD_SIGNING_KEY, key.kid, key.private_pem, jwk, key.active, key.retires)
    await announce(statements, "signing-keys")


async def announce(statements: Statements, subject: str) -> None:
    """Say to all processes that the standing of the subject has changed."""
    await statements.run(ANNOUNCE, secrets.token_hex(8), subject)
    await statements.run(FORGET_CHANGES)


async def announced(statements: Statements) -> Sequence[tuple[str, str]]:
    return [(row["id"], row["subject"]) for row in await statements.rows(ANNOUNCED)]
