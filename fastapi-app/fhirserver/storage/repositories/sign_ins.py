"""Sign-ins, API keys, revoked tokens and attempts: many small rows, spread over the shards by a hash of their ids.

Who writes in a bucket removes what has expired there.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
import xxhash

from fhirserver.access.store import ApiKey, Backoff, SignIn, User
from fhirserver.storage.repositories.identities import USER_COLUMNS, announce, user_of
from fhirserver.storage.statements import Statement, Statements

_BUCKETS = 4096
_OF_USER = ", ".join(f"u.{name}" for name in USER_COLUMNS.split(", "))
SIGN_IN_COLUMNS = (
    "s.id AS sign_in_id, s.user_id AS of_user, s.digest, s.scope, s.created AS began, s.expires, s.revoked, s.kind,"
    " s.client_id, s.context"
)
_KEY = "k.id AS key_id, k.user_id, k.name, k.digest, k.scope, k.created AS made, k.expires, k.revoked"

ADD_SIGN_IN = Statement(
    "add_sign_in",
    "INSERT INTO sign_in (bucket, id, user_id, digest, scope, created, expires, revoked, kind, client_id, context)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
)
FORGET_SIGN_INS = Statement("forget_sign_ins", "DELETE FROM sign_in WHERE bucket = $1 AND expires < $2")
SIGN_IN = Statement(
    "sign_in",
    f"SELECT {SIGN_IN_COLUMNS}, {_OF_USER} FROM sign_in AS s JOIN app_user AS u ON u.id = s.user_id"
    " WHERE s.bucket = $1 AND s.id = $2",
)
ROTATE = Statement(
    "rotate", "UPDATE sign_in SET digest = $4 WHERE bucket = $1 AND id = $2 AND digest = $3 AND NOT revoked"
)
REVOKE_SIGN_IN = Statement("revoke_sign_in", "UPDATE sign_in SET revoked = true WHERE bucket = $1 AND id = $2")
REVOKE_SIGN_INS = Statement(
    "revoke_sign_ins", "UPDATE sign_in SET revoked = true WHERE user_id = $1 AND id <> $2 AND NOT revoked"
)
ADD_KEY = Statement(
    "add_api_key",
    "INSERT INTO api_key (id, user_id, name, digest, scope, created, expires, revoked)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
)
KEYS = Statement("api_keys", f"SELECT {_KEY} FROM api_key AS k WHERE k.user_id = $1 ORDER BY k.created, k.id")
KEY = Statement(
    "api_key", f"SELECT {_KEY}, {_OF_USER} FROM api_key AS k JOIN app_user AS u ON u.id = k.user_id WHERE k.digest = $1"
)
REVOKE_KEY = Statement(
    "revoke_api_key",
    "UPDATE api_key SET revoked = true WHERE id = $1 AND ($2::text IS NULL OR user_id = $2) AND NOT revoked",
)
REVOKE_TOKEN = Statement(
    "revoke_token", "INSERT INTO revoked_token (bucket, id, expires) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"
)
FORGET_TOKENS = Statement("forget_tokens", "DELETE FROM revoked_token WHERE bucket = $1 AND expires < now()")
IS_REVOKED = Statement("is_revoked", "SELECT 1 FROM revoked_token WHERE bucket = $1 AND id = $2")

# $4: counts from before are forgotten; $5: free attempts; $6: until when the next ones are locked out, the last for all
# further ones. These are told, not computed: on Citus only immutable functions can stand here.
_COUNT = "(CASE WHEN a.last < $4 THEN 1 ELSE a.failures + 1 END)"
ATTEMPT = Statement(
    "attempt",
    "INSERT INTO login_attempt AS a (bucket, subject, failures, last, locked_until) VALUES ($1, $2, 1, $3, $3)"
    f" ON CONFLICT (bucket, subject) DO UPDATE SET failures = {_COUNT}, last = $3, locked_until = CASE"
    f" WHEN {_COUNT} >= $5 THEN ($6::timestamptz[])[least({_COUNT} - $5 + 1, cardinality($6::timestamptz[]))]"
    " ELSE $3 END WHERE a.locked_until <= $3 RETURNING failures",
)
LOCKED = Statement("locked", "SELECT locked_until FROM login_attempt WHERE bucket = $1 AND subject = $2")
FORGET_ATTEMPTS = Statement("forget_attempts", "DELETE FROM login_attempt WHERE bucket = $1 AND last < $2")
FORGIVE_ACCOUNT = Statement("forgive", "DELETE FROM login_attempt WHERE bucket = $1 AND subject = $2")
FORGIVE_ADDRESS = Statement(
    "forgive",
    "UPDATE login_attempt SET failures = greatest(failures - 1, 0), locked_until = last"
    " WHERE bucket = $1 AND subject = $2",
)


def bucket_of(id: str) -> int:
    """Where the row with this id is."""
    return xxhash.xxh3_64_intdigest(id.encode()) % _BUCKETS


async def add_sign_in(statements: Statements, sign_in: SignIn) -> None:
    bucket = bucket_of(sign_in.id)
    await statements.run(FORGET_SIGN_INS, bucket, sign_in.created)
    await statements.run(
        ADD_SIGN_IN,
        bucket,
        sign_in.id,
        sign_in.user_id,
        sign_in.digest,
        sign_in.scope,
        sign_in.created,
        sign_in.expires,
        sign_in.revoked,
        sign_in.kind,
        sign_in.client_id,
        orjson.dumps(sign_in.context) if sign_in.context is not None else None,
    )


async def sign_in(statements: Statements, id: str) -> tuple[SignIn, User] | None:
    row = await statements.row(SIGN_IN, bucket_of(id), id)
    if row is None:
        return None
    return sign_in_of(row), user_of(row)


def sign_in_of(row: Any) -> SignIn:
    """The sign-in in a row that has `SIGN_IN_COLUMNS`."""
    return SignIn(
        row["sign_in_id"],
        row["of_user"],
        row["digest"],
        row["scope"],
        row["began"],
        row["expires"],
        row["revoked"],
        row["kind"],
        row["client_id"],
        orjson.loads(row["context"]) if row["context"] is not None else None,
    )


async def rotate(statements: Statements, id: str, old_digest: bytes, new_digest: bytes) -> bool:
    return await statements.run(ROTATE, bucket_of(id), id, old_digest, new_digest) == 1


async def revoke_sign_in(statements: Statements, id: str) -> None:
    await statements.run(REVOKE_SIGN_IN, bucket_of(id), id)
    await announce(statements, f"session:{id}")


async def revoke_sign_ins(statements: Statements, user_id: str, besides: str) -> None:
    await statements.run(REVOKE_SIGN_INS, user_id, besides)
    await announce(statements, f"user:{user_id}")


async def add_api_key(statements: Statements, key: ApiKey) -> None:
    await statements.run(
        ADD_KEY, key.id, key.user_id, key.name, key.digest, key.scope, key.created, key.expires, key.revoked
    )


async def api_keys(statements: Statements, user_id: str) -> Sequence[ApiKey]:
    return [_key_of(row) for row in await statements.rows(KEYS, user_id)]


async def api_key(statements: Statements, digest: bytes) -> tuple[ApiKey, User] | None:
    row = await statements.row(KEY, digest)
    return (_key_of(row), user_of(row)) if row is not None else None


def _key_of(row: Any) -> ApiKey:
    return ApiKey(
        row["key_id"],
        row["user_id"],
        row["name"],
        row["digest"],
        row["scope"],
        row["made"],
        row["expires"],
        row["revoked"],
    )


async def revoke_api_key(statements: Statements, id: str, user_id: str | None) -> bool:
    if await statements.run(REVOKE_KEY, id, user_id) != 1:
        return False
    await announce(statements, f"key:{id}")
    return True


async def revoke_token(statements: Statements, id: str, expires: datetime) -> None:
    await statements.run(FORGET_TOKENS, bucket_of(id))
    await statements.run(REVOKE_TOKEN, bucket_of(id), id, expires)
    await announce(statements, f"token:{id}")


async def is_revoked(statements: Statements, id: str) -> bool:
    return await statements.row(IS_REVOKED, bucket_of(id), id) is not None


async def attempt(statements: Statements, subject: str, now: datetime, backoff: Backoff) -> datetime | None:
    """Count an attempt, unless it is locked out; then the time until which it is."""
    bucket = bucket_of(subject)
    counted = await statements.row(
        ATTEMPT,
        bucket,
        subject,
        now,
        now - backoff.forget,
        backoff.free,
        _locks(now, backoff),
    )
    if counted is not None:
        if counted["failures"] == 1:
            await statements.run(FORGET_ATTEMPTS, bucket, now - 2 * backoff.forget)
        return None
    row = await statements.row(LOCKED, bucket, subject)
    until: datetime | None = row["locked_until"] if row is not None else None
    return until if until is not None and until > now else None


def _locks(now: datetime, backoff: Backoff) -> list[datetime]:
    """Until when each attempt after the free ones locks out the next."""
    locks, wait = [], backoff.first
    while wait < backoff.longest:
        locks.append(now + wait)
        wait *= 2
    return [*locks, now + backoff.longest]


async def forgive(statements: Statements, account: str, address: str) -> None:
    await statements.run(FORGIVE_ACCOUNT, bucket_of(account), account)
    await statements.run(FORGIVE_ADDRESS, bucket_of(address), address)
