"""Access tokens: JWTs that this server signs (RFC 7519, RFC 9068), and the checks of any JWT.

The algorithm is not the token's to choose: it has to be one of those that its issuer is known to use, all of them
asymmetric. Keys come from the issuer's own key set by `kid`; whatever else a header says about keys is refused.
"""

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from jose import jwk, jws, jwt
from jose.exceptions import JOSEError

LONGEST = 8192
_ABOUT_KEYS = frozenset({"jwk", "x5u", "x5c", "crit", "zip"})
_TYPES = ("JWT", "AT+JWT", "APPLICATION/AT+JWT")

Keys = Callable[[str], Awaitable[Mapping[str, Any] | None]]
"""The public key (JWK) with this `kid`; None if there is none."""


class InvalidToken(Exception):
    """The token is not good; the text says why, and nothing of its content."""


@dataclass(frozen=True, slots=True)
class Expectations:
    """What tokens of an issuer have to be like; `skew` is how far its clock may be from ours.

    `key_set_url`: where its keys are, if a token may say so too (`jku`). It is not believed, but compared.
    """

    issuer: str
    audience: str
    algorithms: Sequence[str]
    skew: timedelta
    key_set_url: str | None = None


def key_type(algorithm: str) -> str:
    """The `kty` of the keys of an asymmetric algorithm."""
    return {"ES": "EC", "RS": "RSA", "PS": "RSA"}[algorithm[:2]]


def issuer_of(token: str) -> str:
    """The issuer that an unchecked token names. InvalidToken if it is not even a token."""
    issuer = _part(token, 1).get("iss")
    if not isinstance(issuer, str):
        raise InvalidToken("the token has no issuer")
    return issuer


async def verified(token: str, keys: Keys, expected: Expectations, now: datetime) -> dict[str, Any]:
    """The claims of a token that is good now. Raises InvalidToken."""
    header = _part(token, 0)
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in expected.algorithms:
        raise InvalidToken("the token is signed by an algorithm that its issuer does not use")
    if not isinstance(kid, str):
        raise InvalidToken("the token does not say by which key it is signed")
    if _ABOUT_KEYS & header.keys() or str(header.get("typ", "JWT")).upper() not in _TYPES:
        raise InvalidToken("the header of the token says what it may not")
    if "jku" in header and (expected.key_set_url is None or header["jku"] != expected.key_set_url):
        raise InvalidToken("the header of the token says what it may not")
    key = await keys(kid)
    if key is None or key.get("kty") != key_type(algorithm) or key.get("alg", algorithm) != algorithm:
        raise InvalidToken("the token is signed by a key that its issuer does not have")
    try:
        payload = jws.verify(token, jwk.construct(dict(key), algorithm), [algorithm])
    except JOSEError as error:
        raise InvalidToken("the signature of the token is wrong") from error
    claims = _object(payload)
    _check_claims(claims, expected, now)
    return claims


def _check_claims(claims: Mapping[str, Any], expected: Expectations, now: datetime) -> None:
    audience = claims.get("aud")
    if claims.get("iss") != expected.issuer:
        raise InvalidToken("the token is of another issuer")
    if expected.audience not in (audience if isinstance(audience, list) else [audience]):
        raise InvalidToken("the token is for another audience")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise InvalidToken("the token names nobody")
    skew, moment = expected.skew.total_seconds(), now.timestamp()
    if _time(claims, "exp", required=True) <= moment - skew:
        raise InvalidToken("the token has expired")
    if max(_time(claims, "nbf"), _time(claims, "iat")) > moment + skew:
        raise InvalidToken("the token is not good yet")


def _time(claims: Mapping[str, Any], name: str, *, required: bool = False) -> float:
    value = claims.get(name)
    if value is None and not required:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**40:
        raise InvalidToken(f"the token has no proper {name}")
    return float(value)


def _part(token: str, number: int) -> Mapping[str, Any]:
    if len(token) > LONGEST or token.count(".") != 2:
        raise InvalidToken("this is not a token")
    try:
        if number == 0:
            header: Mapping[str, Any] = jws.get_unverified_header(token)
            return header
        return _object(jws.get_unverified_claims(token))
    except (JOSEError, RecursionError) as error:
        raise InvalidToken("this is not a token") from error


def _object(payload: bytes) -> dict[str, Any]:
    try:
        claims = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise InvalidToken("the token holds no claims") from error
    if not isinstance(claims, dict):
        raise InvalidToken("the token holds no claims")
    return claims


def signed(
    claims: Mapping[str, Any],
    signing_key: tuple[str, str],
    algorithm: str,
    now: datetime,
    lifetime: timedelta,
    kind: str = "at+jwt",
) -> str:
    """A token of these claims, which is good from now on, signed by (kid, private PEM). `kind` is its `typ`."""
    kid, pem = signing_key
    moment = int(now.timestamp())
    times = {"iat": moment, "nbf": moment, "exp": moment + int(lifetime.total_seconds())}
    content = {**claims, **times, "jti": secrets.token_urlsafe(16)}
    return str(jwt.encode(content, pem, algorithm=algorithm, headers={"kid": kid, "typ": kind}))
