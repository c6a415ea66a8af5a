"""A browser without scripts, and an app that sends people to this server in it."""

import html
import re
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

from fhirserver.access.oauth.store import Client
from fhirserver.access.oauth.tokens import challenge_of

from ..conftest import PASSWORD, Process
from .conftest import ask

BACK = "https://app.example/back?from=fhir"
SCOPE = "launch/patient patient/Observation.rs patient/Patient.read openid fhirUser offline_access"
MOST = (
    "launch launch/patient launch/encounter openid fhirUser profile offline_access online_access"
    " patient/*.cruds user/*.cruds"
)


@dataclass
class App:
    """An app that is registered with the server. `verifier` and `state` are those of its request."""

    client: Client
    secret: str | None
    process: Process
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    state: str = field(default_factory=lambda: secrets.token_hex(8))

    def address(self, **changes: Any) -> str:
        """Where the app sends people; a parameter that is None is left out."""
        params = {
            "response_type": "code", "client_id": self.client.id, "redirect_uri": BACK, "scope": SCOPE,
            "state": self.state, "aud": "http://test/fhir", "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256", "nonce": "n-1", **changes,
        }  # fmt: skip
        return "/auth/authorize?" + urlencode({name: value for name, value in params.items() if value is not None})

    async def exchange(self, code: str, /, **changes: Any) -> httpx.Response:
        """What the token endpoint answers for a code."""
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": self.verifier,
            "client_id": self.client.id, **changes,
        }  # fmt: skip
        return await self.ask(form)

    async def refresh(self, token: str, **changes: Any) -> httpx.Response:
        return await self.ask(
            {"grant_type": "refresh_token", "refresh_token": token, "client_id": self.client.id, **changes}
        )

    async def ask(self, form: dict[str, Any]) -> httpx.Response:
        headers = {}
        if self.secret is not None:
            headers["Authorization"] = httpx.BasicAuth(self.client.id, self.secret)._auth_header
        return await ask(self.process, {name: value for name, value in form.items() if value is not None}, **headers)


async def app(process: Process, method: str = "none", scope: str = MOST) -> App:
    client, secret = await process.access.oauth.clients.add("Growth <Charts>", method, scope, [BACK])
    return App(client, secret, process)


class Browser:
    """Follows what the server says, and keeps its cookies."""

    def __init__(self, process: Process, language: str = "en"):
        self.client = process.client(**{"Accept-Language": language})
        del self.client.headers["Content-Type"]
        self.page: httpx.Response

    async def open(self, address: str) -> httpx.Response:
        self.page = await self.client.get(address)
        return await self._follow()

    async def press(self, step: str, row: str = "", **typed: str | None) -> httpx.Response:
        """Press a button, of the form that has `row` in it; with what is typed. None: a box that is unchecked."""
        form = next(
            one
            for one in re.findall(r"<form.*?</form>", self.page.text, re.DOTALL)
            if f'value="{step}"' in one and row in one
        )
        fields = {}
        for box in re.findall(r"<input[^>]*>", form):
            found = dict(re.findall(r'([a-z]+)="([^"]*)"', box))
            if found.get("type") != "checkbox" or " checked" in box:
                fields[html.unescape(found["name"])] = html.unescape(found.get("value", ""))
        for name, value in typed.items():
            if value is None:
                fields = {key: kept for key, kept in fields.items() if kept != name}
            else:
                fields[name] = value
        action = html.unescape(re.findall(r'action="([^"]*)"', form)[0])
        self.page = await self.client.post(f"/auth/{action}", data={**fields, "step": step})
        return await self._follow()

    async def sign_in(self, username: str, password: str = PASSWORD) -> httpx.Response:
        return await self.press("sign-in", username=username, password=password)

    async def _follow(self) -> httpx.Response:
        while self.page.status_code == 303 and self.page.headers["location"].startswith("http://test/"):
            self.page = await self.client.get(self.page.headers["location"])
        return self.page

    @property
    def told(self) -> dict[str, str]:
        """What the app is told at its own address."""
        assert self.page.status_code == 303, self.page.text
        location = self.page.headers["location"]
        assert location.startswith(BACK)
        params = dict(parse_qsl(urlsplit(location).query))
        assert params.pop("from") == "fhir"
        return params


async def allowed(
    asking: App, username: str, patient: str | None = None, unchecked: tuple[str, ...] = (), **request: Any
) -> dict[str, str]:
    """What the app is told after the user allowed what it asks for, about a patient that the user searches for."""
    browser = Browser(asking.process)
    await browser.open(asking.address(**request))
    await browser.sign_in(username)
    if patient is not None:
        await browser.press("search", name=patient)
        await browser.press("choose", patient)
    await browser.press("give", **dict.fromkeys(unchecked))
    return browser.told
