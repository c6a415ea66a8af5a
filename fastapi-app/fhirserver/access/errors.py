"""What `/auth` answers when something is wrong: the error codes of OAuth 2 (RFC 6749 5.2, RFC 6750 3.1)."""


class AccessError(Exception):
    """`error` is the code, `status` the HTTP status; the text may be shown. `retry_after` in seconds, 0: none."""

    def __init__(self, status: int, error: str, text: str, retry_after: int = 0):
        super().__init__(text)
        self.status = status
        self.error = error
        self.retry_after = retry_after


def invalid_request(text: str) -> AccessError:
    """What was sent can't be understood, or is not allowed."""
    return AccessError(400, "invalid_request", text)


def invalid_grant(text: str) -> AccessError:
    """The password or token is not good. The text never says whether there is such an account."""
    return AccessError(400, "invalid_grant", text)


def invalid_scope(text: str) -> AccessError:
    """A scope that makes no sense."""
    return AccessError(400, "invalid_scope", text)


def invalid_client(text: str) -> AccessError:
    """The client does not prove who it is. The text does not say whether there is such a client."""
    return AccessError(401, "invalid_client", text)


def unauthorized_client(text: str) -> AccessError:
    """The client is not one that may do this."""
    return AccessError(400, "unauthorized_client", text)


def unsupported_grant_type(text: str) -> AccessError:
    """Tokens are not given for this."""
    return AccessError(400, "unsupported_grant_type", text)


def forbidden(text: str) -> AccessError:
    """The caller may not do this."""
    return AccessError(403, "insufficient_scope", text)


def not_found(text: str) -> AccessError:
    """There is no such thing."""
    return AccessError(404, "not_found", text)


def conflict(text: str) -> AccessError:
    """It collides with what is there."""
    return AccessError(409, "conflict", text)


def too_many(text: str, seconds: float) -> AccessError:
    """Too many attempts."""
    return AccessError(429, "temporarily_unavailable", text, max(1, round(seconds + 0.5)))
