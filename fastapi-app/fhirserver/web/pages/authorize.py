"""The pages of the authorization endpoint: sign in, choose a patient, decide."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from fhirserver.access.oauth.authorization import Asked, Offer
from fhirserver.access.store import User
from fhirserver.web.pages.html import Html, joined, tag
from fhirserver.web.pages.scopes import in_words, told_with
from fhirserver.web.pages.texts import Texts


@dataclass(frozen=True, slots=True)
class Shown:
    """A patient as people are shown one."""

    id: str
    name: str
    details: str


@dataclass(frozen=True, slots=True)
class Form:
    """What each form has: where it goes, and the proof that it comes from a page of ours."""

    action: str
    proof: str

    def __call__(self, *content: str | None) -> Html:
        return tag("form", _hidden("proof", self.proof), *content, method="post", action=self.action)


def sign_in_page(texts: Texts, asked: Asked, form: Form, problem: str | None = None, username: str = "") -> Html:
    """Username and password."""
    return joined(
        tag("h1", texts["sign in"]),
        tag("p", texts["to give access"].format(app=asked.client.name), class_="lead"),
        _problem(problem),
        form(
            _field(texts["username"], "username", value=username, autocomplete="username", autocapitalize="none"),
            _field(texts["password"], "password", type="password", autocomplete="current-password"),
            tag(
                "div",
                _button(texts["sign in"], "sign-in"),
                _button(texts["cancel"], "deny", class_="quiet", formnovalidate=True),
                class_="buttons",
            ),
        ),
    )


def patient_page(
    texts: Texts,
    asked: Asked,
    user: User,
    form: Form,
    searched: tuple[str, str],
    found: Sequence[Shown] | None,
    more: bool,
) -> Html:
    """A search for patients, and what it found (None: nothing was searched for yet)."""
    name, birthdate = searched
    return joined(
        tag("h1", texts["choose patient"]),
        tag("p", texts["choose text"].format(app=asked.client.name), class_="lead"),
        form(
            _field(texts["name"], "name", value=name, autocomplete="off", required=None),
            _field(texts["birthdate"], "birthdate", value=birthdate, type="date", autocomplete="off", required=None),
            tag("div", _button(texts["search"], "search"), class_="buttons"),
        ),
        _found(texts, form, found, more) if found is not None else None,
        form(tag("div", _button(texts["cancel"], "deny", class_="quiet"), class_="buttons")),
        _who(texts, user, form),
    )


def _found(texts: Texts, form: Form, found: Sequence[Shown], more: bool) -> Html:
    if not found:
        return tag("p", texts["none found"], role="status")
    rows = [
        tag(
            "li",
            form(
                _hidden("patient", patient.id),
                tag(
                    "span", tag("strong", patient.name), tag("span", patient.details, class_="details"), class_="person"
                ),
                _button(texts["choose"], "choose", aria_label=f"{texts['choose']}: {patient.name}, {patient.details}"),
            ),
        )
        for patient in found
    ]
    return joined(tag("ul", *rows, class_="people"), tag("p", texts["more"], role="status") if more else None)


def consent_page(texts: Texts, asked: Asked, offer: Offer, user: User, form: Form, patient: Shown | None) -> Html:
    """What the app asks for, each with a box that can be unchecked."""
    app = asked.client.name
    boxes = []
    for number, scope in enumerate(offer.scopes):
        words = in_words(scope, texts)
        if told_with(scope, offer.scopes) == scope and words is not None:
            box = tag("input", type="checkbox", name=f"scope.{number}", value=scope, id=f"scope.{number}", checked=True)
            boxes.append(tag("li", box, tag("label", words, tag("code", scope), for_=f"scope.{number}")))
    about = (
        tag(
            "p",
            tag("span", texts["patient"], class_="details"),
            tag("strong", patient.name),
            tag("span", patient.details, class_="details"),
            class_="person about",
        )
        if patient is not None
        else None
    )
    parts = urlsplit(asked.redirect_uri)
    return joined(
        tag("h1", texts["consent"].format(app=app)),
        about,
        form(
            _hidden("patient", patient.id) if patient is not None else None,
            tag("fieldset", tag("legend", texts["asks"].format(app=app)), tag("ul", *boxes, class_="scopes")),
            tag(
                "p",
                texts["fewer"],
                " ",
                texts["goes to"].format(host=parts.netloc or f"{parts.scheme}:"),
                class_="details",
            ),
            tag(
                "div", _button(texts["allow"], "give"), _button(texts["deny"], "deny", class_="quiet"), class_="buttons"
            ),
        ),
        _who(texts, user, form),
    )


def problem_page(texts: Texts, text: str) -> Html:
    """Nothing can be done, and there is nowhere to go."""
    return joined(
        tag("h1", texts["problem"]), tag("p", texts["problem text"]), tag("p", text, class_="problem", role="alert")
    )


def _who(texts: Texts, user: User, form: Form) -> Html:
    name = texts["signed in"].format(user=user.full_name)
    return tag("footer", form(tag("span", name), _button(texts["sign out"], "sign-out", class_="link")))


def _problem(text: str | None) -> Html | None:
    return tag("p", text, class_="problem", role="alert") if text is not None else None


def _field(label: str, name: str, type: str = "text", required: bool | None = True, **attributes: str | None) -> Html:
    box = tag(
        "input", id=name, name=name, type=type, required=required, maxlength="256", spellcheck="false", **attributes
    )
    return tag("p", tag("label", label, for_=name), box, class_="field")


def _button(text: str, step: str, **attributes: str | bool | None) -> Html:
    return tag("button", text, type="submit", name="step", value=step, **attributes)


def _hidden(name: str, value: str) -> Html:
    return tag("input", type="hidden", name=name, value=value)
