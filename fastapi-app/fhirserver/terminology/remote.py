"""Another terminology server, asked by FHIR's own operations about what is not known here.

https://hl7.org/fhir/R4/terminology-service.html
"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

import httpx
import orjson

from fhirserver.fhir.outcomes import NotFound, Unavailable, Unprocessable
from fhirserver.fhir.terminology.concepts import Concept, Json, objects
from fhirserver.fhir.terminology.expansion import ExpansionRequest
from fhirserver.fhir.terminology.maps import Match, TranslationRequest
from fhirserver.interactions.terminology import CodeAnswer, CodeQuestion, Found, Subsumption

_JSON = "application/fhir+json"
_LARGEST = 64 * 1024 * 1024

Item = tuple[str, str, Any]
"""Name, property and value of a parameter; those without a value are left out."""


class Remote:
    """The server at a base URL. An answer that doesn't come, or makes no sense, is `Unavailable`; what it refuses or
    does not know is `Unprocessable` or `NotFound`, with its own words."""

    def __init__(self, base_url: str, timeout: float, transport: httpx.AsyncBaseTransport | None = None):
        self._client = httpx.AsyncClient(
            base_url=base_url.rstrip("/") + "/",
            timeout=timeout,
            transport=transport,
            headers={"Accept": _JSON, "Content-Type": _JSON},
            follow_redirects=False,
        )
        self._base_url = base_url

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def expand(self, request: ExpansionRequest) -> Json:
        """https://hl7.org/fhir/R4/valueset-operation-expand.html"""
        items: list[Item] = [
            _canonical_or_resource(request.value_set, "url", "valueSet"),
            ("filter", "valueString", request.text),
            ("offset", "valueInteger", request.offset or None),
            ("count", "valueInteger", request.count),
            ("activeOnly", "valueBoolean", request.active_only or None),
            ("excludeNotForUI", "valueBoolean", request.selectable_only or None),
            ("excludeNested", "valueBoolean", not request.nested),
            ("includeDefinition", "valueBoolean", request.with_definition or None),
            ("includeDesignations", "valueBoolean", request.with_designations or None),
            ("displayLanguage", "valueCode", request.language),
            *(("designation", "valueString", token) for token in request.designations),
            *(("exclude-system", "valueUri", url) for url in request.excluded_systems),
            *_versions("system-version", request.versions),
            *_versions("check-system-version", request.checked_versions),
            *_versions("force-system-version", request.forced_versions),
        ]
        return await self._call("ValueSet/$expand", items, "ValueSet")

    async def check(self, question: CodeQuestion) -> CodeAnswer:
        """https://hl7.org/fhir/R4/valueset-operation-validate-code.html or that of CodeSystem"""
        of_value_set = question.value_set is not None
        items: list[Item] = [
            ("code", "valueCode", question.code),
            ("display", "valueString", question.display),
            ("displayLanguage", "valueCode", question.language),
            ("abstract", "valueBoolean", False if question.selectable else None),
        ]
        if question.value_set is not None:
            items += [
                _canonical_or_resource(question.value_set, "url", "valueSet"),
                ("system", "valueUri", question.system),
                ("systemVersion", "valueString", question.version),
            ]
        else:
            items += [("url", "valueUri", question.system), ("version", "valueString", question.version)]
        path = "ValueSet/$validate-code" if of_value_set else "CodeSystem/$validate-code"
        answer = _values(await self._call(path, items, "Parameters"))
        result = answer.get("result")
        if not isinstance(result, bool):
            raise self._nonsense(path)
        return CodeAnswer(result, _text(answer.get("message")), _text(answer.get("display")))

    async def lookup(self, system: str, code: str, version: str | None) -> Found:
        """https://hl7.org/fhir/R4/codesystem-operation-lookup.html"""
        items: list[Item] = [
            ("system", "valueUri", system), ("code", "valueCode", code), ("version", "valueString", version)
        ]  # fmt: skip
        parameters = await self._call("CodeSystem/$lookup", items, "Parameters")
        answer = _values(parameters)
        groups = [(item.get("name"), _values(item, "part")) for item in objects(parameters.get("parameter"))]
        properties = [
            {"code": parts["code"], name: value}
            for item in objects(parameters.get("parameter"))
            if item.get("name") == "property"
            for parts in (_values(item, "part"),)
            for part in objects(item.get("part"))
            if part.get("name") == "value" and "code" in parts
            for name, value in part.items()
            if name.startswith("value")
        ]
        of_code = [item for item in properties if item["code"] not in ("parent", "child")]
        concept = Concept(
            code,
            _text(answer.get("display")),
            next(
                (
                    _text(value)
                    for name, parts in groups
                    if parts.get("code") == "definition"
                    for value in (parts.get("value"),)
                ),
                None,
            ),
            [parts for name, parts in groups if name == "designation"],
            [item for item in of_code if item["code"] != "definition"],
            [str(parts["value"]) for name, parts in groups if name == "property" and parts.get("code") == "parent"],
            any(parts.get("code") == "inactive" and parts.get("value") is True for _, parts in groups),
        )
        header = {"url": system, "name": answer.get("name", system), "version": answer.get("version", version)}
        children = [
            str(parts["value"]) for name, parts in groups if name == "property" and parts.get("code") == "child"
        ]
        return Found({name: value for name, value in header.items() if value is not None}, concept, children)

    async def subsumes(self, system: str, code_a: str, code_b: str, version: str | None) -> Subsumption:
        """https://hl7.org/fhir/R4/codesystem-operation-subsumes.html"""
        items: list[Item] = [
            ("system", "valueUri", system),
            ("codeA", "valueCode", code_a),
            ("codeB", "valueCode", code_b),
            ("version", "valueString", version),
        ]
        outcome = _values(await self._call("CodeSystem/$subsumes", items, "Parameters")).get("outcome")
        if outcome not in ("equivalent", "subsumes", "subsumed-by", "not-subsumed"):
            raise self._nonsense("CodeSystem/$subsumes")
        return cast(Subsumption, outcome)

    async def translate(self, request: TranslationRequest) -> list[Match]:
        """https://hl7.org/fhir/R4/conceptmap-operation-translate.html"""
        items: list[Item] = [
            ("codeableConcept", "valueCodeableConcept", {"coding": list(request.codings)}),
            ("source", "valueUri", request.source),
            ("target", "valueUri", request.target),
            ("targetsystem", "valueUri", request.target_system),
            ("reverse", "valueBoolean", request.reverse or None),
        ]
        if request.concept_map is not None:
            items.append(_canonical_or_resource(request.concept_map, "url", "conceptMap"))
        parameters = await self._call("ConceptMap/$translate", items, "Parameters")
        found = []
        for item in objects(parameters.get("parameter")):
            if item.get("name") == "match":
                parts = _values(item, "part")
                concept = parts.get("concept")
                equivalence = str(parts.get("equivalence", "relatedto"))
                found.append(
                    Match(equivalence, concept if isinstance(concept, dict) else None, _text(parts.get("source")))
                )
        return found

    async def _call(self, path: str, items: Iterable[Item], answer_type: str) -> Json:
        body = {
            "resourceType": "Parameters",
            "parameter": [{"name": name, kind: value} for name, kind, value in items if value is not None],
        }
        try:
            async with self._client.stream("POST", path, content=orjson.dumps(body, default=str)) as response:
                text = b""
                async for chunk in response.aiter_bytes():
                    text += chunk
                    if len(text) > _LARGEST:
                        raise self._nonsense(path)
                status = response.status_code
        except httpx.TimeoutException as error:
            raise Unavailable(f"the terminology server {self._base_url} did not answer ${path} in time") from error
        except httpx.HTTPError as error:
            raise Unavailable(f"the terminology server {self._base_url} can't be reached: {error}") from error
        try:
            answer = orjson.loads(text)
        except orjson.JSONDecodeError:
            answer = None
        if status < 300 and isinstance(answer, dict) and answer.get("resourceType") == answer_type:
            return answer
        if status in (400, 404, 422) and isinstance(answer, dict):
            reasons = [str(_reason(issue)) for issue in objects(answer.get("issue")) if _reason(issue)]
            said = "; ".join(reasons) or f"status {status}"
            kind = NotFound if status == 404 else Unprocessable
            raise kind(f"the terminology server {self._base_url} says: {said[:1000]}")
        raise self._nonsense(path, status)

    def _nonsense(self, path: str, status: int | None = None) -> Unavailable:
        how = f"with status {status}" if status is not None else "with something else than asked for"
        return Unavailable(f"the terminology server {self._base_url} answered {path} {how}")


def _canonical_or_resource(value: str | Json, url_name: str, resource_name: str) -> Item:
    if isinstance(value, str):
        return url_name, "valueUri", value
    return resource_name, "resource", value


def _versions(name: str, versions: Mapping[str, str]) -> Iterable[Item]:
    return [(name, "valueUri", f"{url}|{version}") for url, version in versions.items()]


def _values(parameters: Json, name: str = "parameter") -> dict[str, Any]:
    """The values of the parameters of an answer, or of the parts of one, by name."""
    return {str(item.get("name")): _value(item) for item in objects(parameters.get(name))}


def _value(item: Json) -> Any:
    return next((value for name, value in item.items() if name.startswith("value")), None)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _reason(issue: Json) -> str | None:
    details = issue.get("details")
    return issue.get("diagnostics") or (details.get("text") if isinstance(details, dict) else None)
