"""`/auth/authorize`: people sign in, choose a patient, and decide what an app gets.

The request of the app stays in the URL from page to page and is checked anew each time; each button is a step.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.access.authentication import Identified
from fhirserver.access.errors import AccessError, invalid_request
from fhirserver.access.oauth.authorization import Asked, Offer, Refused
from fhirserver.access.store import SignIn, User
from fhirserver.fhir.outcomes import FhirError
from fhirserver.search.query.parameters import query_parameters
from fhirserver.web import browser
from fhirserver.web.dependencies import AUTH_PATH, access_of, addresses_of, web_of
from fhirserver.web.middleware.authentication import client_address
from fhirserver.web.pages.authorize import Form, consent_page, patient_page, problem_page, sign_in_page
from fhirserver.web.pages.frame import page_response
from fhirserver.web.pages.html import Html
from fhirserver.web.pages.patients import patient_shown, patients_found
from fhirserver.web.pages.scopes import told_with
from fhirserver.web.pages.texts import texts_for
from fhirserver.web.responses import Header, RawResponse
from fhirserver.web.routers.auth import form_of, noting_who
from fhirserver.web.routing import route
from fhirserver.web.scope import header


def routes() -> list[Route]:
    """The routes of this file."""
    return [route(f"{AUTH_PATH}/authorize", GET=("authorize", authorize), POST=("authorize", authorize))]


@dataclass(frozen=True, slots=True)
class _Visit:
    """A browser with a request of an app. `cookie` is what it will remember, `headers` what makes it do so."""

    request: Request
    asked: Asked
    cookie: str
    headers: list[Header]
    signed_in: tuple[Identified, SignIn] | None

    def page(self, title: str, content: Html, status: int = 200) -> Response:
        parts = urlsplit(self.asked.redirect_uri)
        leads_to = f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:"
        language, _ = texts_for(header(self.request.scope, b"accept-language"))
        return page_response(status, language, title, content, leads_to, self.headers)

    @property
    def form(self) -> Form:
        query = self.request.scope["query_string"]
        return Form(f"authorize?{query.decode()}", browser.proof(self.cookie, query))


async def authorize(request: Request) -> Response:
    """The next page, or back to the app."""
    language, texts = texts_for(header(request.scope, b"accept-language"))
    try:
        return await _answered(request)
    except Refused as refused:
        return _redirect(refused.address)
    except AccessError as error:
        return page_response(error.status, language, texts["problem"], problem_page(texts, str(error)))


async def _answered(request: Request) -> Response:
    form = await form_of(request) if request.method == "POST" else None
    if form is not None and "step" not in form:  # a request that an app sends as a form (OpenID Connect Core 3.1.2.1)
        return _redirect(f"{addresses_of(request).of('authorize')}?{urlencode(form)}")
    authorization = access_of(request).oauth.authorization
    try:
        params = query_parameters(request.scope["query_string"].decode("ascii"))
    except (FhirError, UnicodeDecodeError) as error:
        raise invalid_request("the parameters can't be read") from error
    asked = await authorization.asked(params, addresses_of(request))
    cookie = browser.remembered(request.scope)
    signed_in = await authorization.signed_in(cookie) if cookie is not None else None
    headers: list[Header] = []
    is_ours = form is not None and browser.is_proven(request.scope, cookie, form.get("proof", ""))
    if cookie is None:
        cookie = browser.nobody()
        headers.append(browser.remember(request.scope, cookie, web_of(request).server.clock()))
    visit = _Visit(request, asked, cookie, headers, signed_in)
    if form is None:
        return await _shown(visit)
    if not is_ours:
        return await _shown(visit, expired=True)
    return await _stepped(visit, form)


async def _stepped(visit: _Visit, form: Mapping[str, str]) -> Response:
    """What a button does."""
    step = form["step"]
    _, texts = texts_for(header(visit.request.scope, b"accept-language"))
    if step == "deny":
        raise visit.asked.refused("access_denied", "the user does not want it")
    if step == "sign-in":
        return await _sign_in(visit, form)
    if visit.signed_in is None:
        return await _shown(visit)
    identified, sign_in = visit.signed_in
    authorization = access_of(visit.request).oauth.authorization
    if step == "sign-out":
        await authorization.sign_out(sign_in)
        return _again(visit, browser.nobody())
    offer = authorization.offer(visit.asked, identified)
    if step == "search":
        return await _choose(visit, identified, (form.get("name", ""), form.get("birthdate", "")))
    patient = offer.patient or form.get("patient")
    if step == "choose" and patient is not None:
        return await _decide(visit, identified, offer, patient)
    if step != "give":
        raise invalid_request("there is no such step")
    if offer.is_about_a_patient and await patient_shown(visit.request, identified, patient or "", texts) is None:
        raise visit.asked.refused("access_denied", "the patient is not to be seen")
    checked = {value for name, value in form.items() if name.startswith("scope.")}
    chosen = [scope for scope in offer.scopes if told_with(scope, offer.scopes) in checked]
    about = patient if offer.is_about_a_patient else None
    return _redirect(await authorization.give(visit.asked, offer, chosen, about, identified, sign_in))


async def _sign_in(visit: _Visit, form: Mapping[str, str]) -> Response:
    _, texts = texts_for(header(visit.request.scope, b"accept-language"))
    username, password = form.get("username", ""), form.get("password", "")
    authorization = access_of(visit.request).oauth.authorization
    try:
        async with noting_who(visit.request, username):
            cookie, until = await authorization.sign_in(username, password, client_address(visit.request.scope))
    except AccessError as error:
        problem = texts["too many"] if error.status == 429 else texts["wrong"]
        page = sign_in_page(texts, visit.asked, visit.form, problem, username[:100])
        answer = visit.page(texts["sign in"], page, error.status)
        if error.retry_after:
            answer.raw_headers.append((b"retry-after", b"%d" % error.retry_after))
        return answer
    now = web_of(visit.request).server.clock()
    return _again(visit, cookie, browser.remember(visit.request.scope, cookie, now, until))


async def _shown(visit: _Visit, *, expired: bool = False) -> Response:
    """The page that comes first for this browser."""
    _, texts = texts_for(header(visit.request.scope, b"accept-language"))
    if visit.signed_in is None:
        problem = texts["expired"] if expired else None
        return visit.page(
            texts["sign in"], sign_in_page(texts, visit.asked, visit.form, problem), 403 if expired else 200
        )
    identified, _ = visit.signed_in
    offer = access_of(visit.request).oauth.authorization.offer(visit.asked, identified)
    if offer.is_about_a_patient and offer.patient is None:
        return await _choose(visit, identified, None, 403 if expired else 200)
    return await _decide(visit, identified, offer, offer.patient, 403 if expired else 200)


async def _choose(
    visit: _Visit, identified: Identified, searched: tuple[str, str] | None, status: int = 200
) -> Response:
    _, texts = texts_for(header(visit.request.scope, b"accept-language"))
    found, more = await patients_found(visit.request, identified, texts, *searched) if searched else (None, False)
    page = patient_page(texts, visit.asked, _user(identified), visit.form, searched or ("", ""), found, more)
    return visit.page(texts["choose patient"], page, status)


async def _decide(
    visit: _Visit, identified: Identified, offer: Offer, patient: str | None, status: int = 200
) -> Response:
    _, texts = texts_for(header(visit.request.scope, b"accept-language"))
    shown = None
    if offer.is_about_a_patient:
        shown = await patient_shown(visit.request, identified, patient or "", texts)
        if shown is None:
            raise visit.asked.refused("access_denied", "the patient is not to be seen")
    page = consent_page(texts, visit.asked, offer, _user(identified), visit.form, shown)
    return visit.page(texts["consent"].format(app=visit.asked.client.name), page, status)


def _user(identified: Identified) -> User:
    if identified.user is None:
        raise invalid_request("this is for users of this server")
    return identified.user


def _again(visit: _Visit, cookie: str, set_cookie: Header | None = None) -> Response:
    """The request anew, with another cookie."""
    scope = visit.request.scope
    made = set_cookie or browser.remember(scope, cookie, web_of(visit.request).server.clock())
    query = scope["query_string"].decode()
    return _redirect(f"{addresses_of(visit.request).of('authorize')}?{query}", [made])


def _redirect(address: str, headers: list[Header] | None = None) -> Response:
    """303: what comes next is a GET, whatever came before; a password is not sent on (RFC 9700 4.12)."""
    return RawResponse(303, b"", [(b"location", address.encode()), (b"content-length", b"0"), *(headers or ())])
