"""How callers say who they are, and the routes of `/auth`."""

from typing import Any

ACCESS = "Access"
SECURITY_SCHEMES: dict[str, Any] = {
    "login": {
        "type": "oauth2",
        "description": "Username and password. A scope asks for less than the user may do: `patient/*.rs`",
        "flows": {"password": {"tokenUrl": "/auth/login", "refreshUrl": "/auth/refresh", "scopes": {}}},
    },
    "bearer": {"type": "http", "scheme": "bearer", "description": "An access token"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The key of a program"},
}
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_ERROR = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
}
_STRING: dict[str, Any] = {"type": "string"}
_SECRET: dict[str, Any] = {"type": "string", "format": "password"}
_STRINGS: dict[str, Any] = {"type": "array", "items": _STRING}


def access_paths() -> dict[str, Any]:
    """The routes of `/auth`."""
    registration = {
        "username": "doctor1",
        "email": "doctor1@hospital.com",
        "password": "SecurePass123!",
        "full_name": "Dr. Juan Pérez",
        "role": "practitioner",
    }
    login = _body(_FORM, {"username": _STRING, "password": _SECRET, "scope": _STRING}, ("username", "password"))
    passwords = {"current_password": _SECRET, "new_password": _SECRET}
    user = {"username": _STRING, "email": _STRING, "full_name": _STRING, "roles": _STRINGS, "fhir_user": _STRING}
    change = {"roles": _STRINGS, "disabled": {"type": "boolean"}, "fhir_user": _STRING}
    role = {"scopes": _STRING, "description": _STRING}
    key = {"name": _STRING, "scope": _STRING, "expires_in_days": {"type": "integer", "default": 90}}
    token = dict.fromkeys(
        ("grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope", "client_id"), _STRING
    ) | dict.fromkeys(("client_assertion_type", "client_assertion"), _STRING)
    client = {
        "client_name": _STRING,
        "scope": _STRING,
        "redirect_uris": _STRINGS,
        "jwks": {"type": "object"},
        "jwks_uri": _STRING,
        "token_endpoint_auth_method": {"enum": ["none", "client_secret_basic", "private_key_jwt"]},
    }
    about_token = dict.fromkeys(("token", "token_type_hint", "client_id"), _STRING)
    launch = {
        **dict.fromkeys(("client_id", "patient", "encounter", "user", "intent"), _STRING),
        "need_patient_banner": {"type": "boolean"},
        "fhirContext": {"type": "array", "items": {"type": "object"}},
    }
    client_shown = {
        "client_name": "Growth charts",
        "scope": "launch/patient patient/*.rs openid fhirUser",
        "redirect_uris": ["https://app.example.org/back"],
    }
    changed = {name: schema for name, schema in client.items() if name != "token_endpoint_auth_method"}
    change_client = _body(_JSON, {**changed, "disabled": {"type": "boolean"}}, ())
    return {
        "/auth/register": {
            "post": _operation(
                "register",
                "Register, where that is open",
                _body(_JSON, dict.fromkeys(registration, _STRING), tuple(registration), registration),
                created=True,
                is_open=True,
            )
        },
        "/auth/login": {"post": _operation("login", "Access and refresh token for a password", login, is_open=True)},
        "/auth/refresh": {
            "post": _operation(
                "refresh",
                "The next tokens; a refresh token is good once",
                _body(_FORM, {"refresh_token": _STRING}, ("refresh_token",)),
                is_open=True,
            )
        },
        "/auth/logout": {"post": _operation("logout", "End the sign-in", empty=True)},
        "/auth/me": {"get": _operation("me", "Who one is, and what for")},
        "/auth/password": {
            "post": _operation("password", "Another password", _body(_JSON, passwords, tuple(passwords)), empty=True)
        },
        "/auth/users": {
            "get": _operation("users", "All users, in pages (administrators)"),
            "post": _operation(
                "invite",
                "Invite somebody; the answer has the password, once (administrators)",
                _body(_JSON, user, ("username", "email", "full_name", "roles")),
                created=True,
            ),
        },
        "/auth/users/{username}": {
            "parameters": [_path("username")],
            "patch": _operation("changeUser", "Disable, other roles (administrators)", _body(_JSON, change, ())),
        },
        "/auth/users/{username}/password": {
            "parameters": [_path("username")],
            "post": _operation("resetPassword", "A new password, told once (administrators)"),
        },
        "/auth/roles": {"get": _operation("roles", "All roles and their scopes (administrators)")},
        "/auth/roles/{name}": {
            "parameters": [_path("name")],
            "put": _operation(
                "saveRole", "Add or replace (administrators)", _body(_JSON, role, ("scopes",)), empty=True
            ),
            "delete": _operation("removeRole", "Remove, if nobody has it (administrators)", empty=True),
        },
        "/auth/api-keys": {
            "get": _operation("apiKeys", "One's own keys"),
            "post": _operation(
                "createApiKey",
                "A key for a program; the answer has it, once",
                _body(_JSON, key, ("name", "scope"), {"name": "laboratory", "scope": "system/Observation.crs"}),
                created=True,
            ),
        },
        "/auth/api-keys/{id}": {
            "parameters": [_path("id")],
            "delete": _operation("revokeApiKey", "Revoke a key", empty=True),
        },
        "/auth/token": {
            "post": _operation(
                "token",
                "Tokens for apps and systems: for a code, a refresh token, an assertion (RFC 6749, SMART on FHIR)",
                _body(_FORM, token, ("grant_type",)),
                is_open=True,
            )
        },
        "/auth/introspect": {
            "post": _operation(
                "introspect", "What a token is good for (RFC 7662)", _body(_FORM, about_token, ("token",))
            )
        },
        "/auth/revoke": {
            "post": _operation(
                "revoke",
                "End a token, and what was issued with it (RFC 7009)",
                _body(_FORM, about_token, ("token",)),
                is_open=True,
            )
        },
        "/auth/launch": {
            "post": _operation(
                "launch",
                "The launch parameter with which an EHR starts an app, good once and for minutes",
                _body(_JSON, launch, ("client_id",), {"client_id": "…", "patient": "…", "encounter": "…"}),
                created=True,
            )
        },
        "/auth/apps": {"get": _operation("apps", "The apps that have something of the caller, and what")},
        "/auth/apps/{client_id}": {
            "parameters": [_path("client_id")],
            "delete": _operation("withdraw", "Take back what an app was given", empty=True),
        },
        "/auth/clients": {
            "get": _operation("clients", "Registered apps and systems, in pages (administrators)"),
            "post": _operation(
                "registerClient",
                "Register an app or a system; the answer has its secret, once (administrators)",
                _body(_JSON, client, ("client_name", "scope"), client_shown),
                created=True,
            ),
        },
        "/auth/clients/{id}": {
            "parameters": [_path("id")],
            "get": _operation("client", "An app or a system (administrators)"),
            "patch": _operation("changeClient", "Disable, other scopes, other keys (administrators)", change_client),
        },
        "/auth/clients/{id}/secret": {
            "parameters": [_path("id")],
            "post": _operation("resetSecret", "A new secret, told once (administrators)"),
        },
        "/.well-known/smart-configuration": {
            "get": _operation("smartConfiguration", "What SMART apps need to know of this server", is_open=True)
        },
        "/.well-known/jwks.json": {
            "get": _operation("jwks", "The public keys that verify access tokens", is_open=True)
        },
    }


def _operation(
    name: str,
    summary: str,
    body: dict[str, Any] | None = None,
    *,
    created: bool = False,
    empty: bool = False,
    is_open: bool = False,
) -> dict[str, Any]:
    done = {"description": summary, "content": {_JSON: {"schema": {"type": "object"}}}}
    refused = {"description": "Why not, as OAuth 2 has it", "content": {_JSON: {"schema": _ERROR}}}
    statuses = ("400", "429") if is_open else ("400", "401", "403", "429")
    success = {"204": {"description": summary}} if empty else {"201" if created else "200": done}
    described: dict[str, Any] = {
        "tags": [ACCESS],
        "operationId": name,
        "summary": summary,
        "responses": {**success, **dict.fromkeys(statuses, refused)},
    }
    if body is not None:
        described["requestBody"] = body
    if is_open:
        described["security"] = []
    return described


def _body(
    kind: str, properties: dict[str, Any], required: tuple[str, ...], shown: dict[str, Any] | None = None
) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = list(required)
    return {"required": True, "content": {kind: {"schema": schema, **({"example": shown} if shown else {})}}}


def _path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": _STRING}
