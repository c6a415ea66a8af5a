"""Patients, as somebody who signed in may see them: those that a search finds, and one."""

import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from fhirserver.access.authentication import Identified
from fhirserver.fhir.outcomes import FhirError, Unavailable
from fhirserver.fhir.resource_json import parse
from fhirserver.interactions.context import Call
from fhirserver.interactions.read import read
from fhirserver.interactions.search import search
from fhirserver.web.dependencies import base_url_of, web_of
from fhirserver.web.pages.authorize import Shown
from fhirserver.web.pages.texts import Texts
from fhirserver.web.scope import request_id

_MOST = 10
_SPECIAL = re.compile(r"([\\,$])")


async def patients_found(
    request: Request, identified: Identified, texts: Texts, name: str, birthdate: str
) -> tuple[list[Shown], bool]:
    """Those whom a name or an identifier, and a date of birth, find; whether there are more of them."""
    params = [("_count", str(_MOST)), ("_elements", "name,birthDate,gender,identifier")]
    if birthdate:
        params.append(("birthdate", birthdate))
    if any(letter.isdigit() for letter in name):
        params.append(("identifier", _SPECIAL.sub(r"\\\1", name.strip())))
    else:
        params += [("name", _SPECIAL.sub(r"\\\1", word).replace("|", r"\|")) for word in name.split()[:5]]
    if len(params) == 2:
        return [], False
    try:
        found = parse(
            await search(web_of(request).server, _call(request, identified), "Patient", params, lenient=False)
        )
    except Unavailable:
        raise
    except FhirError:
        return [], False  # nothing that could be a name or a date
    more = any(link["relation"] == "next" for link in found["link"])
    return [_shown(entry["resource"], texts) for entry in found.get("entry", ())], more


async def patient_shown(request: Request, identified: Identified, id: str, texts: Texts) -> Shown | None:
    """The patient with this id; None if there is none that may be seen."""
    try:
        stored = await read(web_of(request).server, _call(request, identified), "Patient", id)
    except Unavailable:
        raise
    except FhirError:
        return None
    return _shown(parse(stored.live), texts)


def _call(request: Request, identified: Identified) -> Call:
    return Call(base_url_of(request), request_id(request.scope), identified.policy, identified.caller)


def _shown(patient: Mapping[str, Any], texts: Texts) -> Shown:
    names = patient.get("name", [])
    official = next((name for name in names if name.get("use") == "official"), names[0] if names else {})
    parts = [*official.get("prefix", []), *official.get("given", []), official.get("family")]
    name = official.get("text") or " ".join(part for part in parts if part) or texts["no name"]
    identifiers = [identifier.get("value") for identifier in patient.get("identifier", [])][:2]
    born = texts["born"].format(date=patient["birthDate"]) if "birthDate" in patient else None
    details = [born, *(identifiers or [patient["id"]])]
    return Shown(patient["id"], name, " · ".join(dict.fromkeys(detail for detail in details if detail)))
