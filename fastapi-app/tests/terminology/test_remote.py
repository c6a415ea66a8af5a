"""A remote terminology server: asked about what isn't known here, and what becomes of its failures.

What it answers is played by a transport of the HTTP client: no server of somebody else can be had in tests.
"""

import json

import httpx
import pytest

from fhirserver.fhir.outcomes import NotFound, Unavailable, Unprocessable
from fhirserver.fhir.terminology.expansion import ExpansionRequest
from fhirserver.fhir.terminology.maps import TranslationRequest
from fhirserver.interactions.terminology import CodeQuestion
from fhirserver.terminology.known import KnownTerminology
from fhirserver.terminology.remote import Remote

FAR = "urn:test:far"


def parameters(**values):
    kinds = {bool: "valueBoolean", str: "valueString", list: "part", dict: "valueCoding"}
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": name, kinds[type(value)]: value} for name, value in values.items()],
    }


def outcome(text):
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "not-found", "diagnostics": text}],
    }


class Far:
    """The remote server: `answer` is what it says next, `asked` what it was asked."""

    def __init__(self):
        self.answer = httpx.Response(500)
        self.asked = []

    async def __call__(self, request):
        self.asked.append((request.url.path, {item["name"]: next(v for k, v in item.items() if k != "name") for item in json.loads(request.content)["parameter"]}))  # fmt: skip
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def says(self, resource, status=200):
        self.answer = httpx.Response(status, json=resource)


@pytest.fixture
def far():
    return Far()


@pytest.fixture
async def terminology(sources, server, far):
    known = KnownTerminology(sources, server.clock, Remote("http://far.example/fhir/", 5, httpx.MockTransport(far)))
    yield known
    await known.close()


async def test_what_is_known_here_is_not_asked_there(terminology, far):
    gender = "http://hl7.org/fhir/ValueSet/administrative-gender"
    answers = await terminology.check([CodeQuestion(code=code, value_set=gender) for code in ("male", "x")])
    assert [answer.result for answer in answers] == [True, False]
    await terminology.expand(ExpansionRequest(value_set=gender))
    with pytest.raises(NotFound):
        await terminology.lookup("http://hl7.org/fhir/administrative-gender", "x")
    with pytest.raises(Unprocessable, match="no end"):
        await terminology.expand(ExpansionRequest(value_set="http://hl7.org/fhir/ValueSet/mimetypes"))
    assert far.asked == []


async def test_codes_are_checked_there(terminology, far):
    far.says(parameters(result=True, display="Far"))
    (answer,) = await terminology.check([CodeQuestion(code="a", system=FAR, value_set="urn:test:vs", display="far")])
    assert (answer.result, answer.display) == (True, "Far")
    asked = {"code": "a", "display": "far", "url": "urn:test:vs", "system": FAR}
    assert far.asked.pop() == ("/fhir/ValueSet/$validate-code", asked)
    far.says(parameters(result=False, message="no such code"))
    (answer,) = await terminology.check([CodeQuestion(code="a", system=FAR, version="2")])
    assert (answer.result, answer.message) == (False, "no such code")
    assert far.asked.pop() == ("/fhir/CodeSystem/$validate-code", {"code": "a", "url": FAR, "version": "2"})
    conditions = "http://hl7.org/fhir/ValueSet/condition-code"  # known here, but not SNOMED CT
    await terminology.check([CodeQuestion(code="1", system="http://snomed.info/sct", value_set=conditions)])
    path, asked = far.asked.pop()
    assert (path, asked["valueSet"]["url"]) == ("/fhir/ValueSet/$validate-code", conditions)


async def test_value_sets_are_expanded_there(terminology, far):
    contains = [
        {"system": FAR, "code": "a", "contains": [{"system": FAR, "code": "b"}]},
        {"system": "urn:test:2", "code": "c"},
    ]
    expanded = {"resourceType": "ValueSet", "status": "active", "expansion": {"contains": contains}}
    far.says(expanded)
    request = ExpansionRequest(value_set="urn:test:vs", text="x", count=5, language="es", excluded_systems=["urn:no"])
    assert await terminology.expand(request) == expanded
    assert far.asked.pop() == (
        "/fhir/ValueSet/$expand",
        {
            "url": "urn:test:vs",
            "filter": "x",
            "count": 5,
            "excludeNested": True,
            "displayLanguage": "es",
            "exclude-system": "urn:no",
        },
    )
    assert await terminology.codes("urn:test:vs") == {FAR: {"a", "b"}, "urn:test:2": {"c"}}
    with pytest.raises(Unprocessable, match="more than 2 codes"):
        await terminology.codes("urn:test:vs", limit=2)
    given = {"resourceType": "ValueSet", "status": "active", "compose": {"include": [{"system": FAR}]}}
    await terminology.expand(ExpansionRequest(value_set=given))
    assert far.asked.pop()[1]["valueSet"] == given


async def test_concepts_are_looked_up_and_related_there(terminology, far):
    def part(code, kind, value):
        return {"name": "property", "part": [{"name": "code", "valueCode": code}, {"name": "value", kind: value}]}

    answer = parameters(name="Far away", version="3", display="A")
    answer["parameter"] += [
        {
            "name": "designation",
            "part": [{"name": "language", "valueCode": "es"}, {"name": "value", "valueString": "Un A"}],
        },
        part("parent", "valueCode", "top"),
        part("child", "valueCode", "b"),
        part("inactive", "valueBoolean", True),
        part("definition", "valueString", "The letter"),
        part("weight", "valueDecimal", 1.5),
    ]
    far.says(answer)
    found = await terminology.lookup(FAR, "a")
    concept = found.concept
    assert (found.header, found.children) == ({"url": FAR, "name": "Far away", "version": "3"}, ["b"])
    assert (concept.display, concept.definition, concept.parents, concept.inactive) == (
        "A",
        "The letter",
        ["top"],
        True,
    )
    assert (concept.values("weight"), concept.display_in("es")) == (["1.5"], "Un A")
    far.says(parameters(outcome="subsumes"))
    assert await terminology.subsumes(FAR, "a", "b") == "subsumes"
    match = [
        {"name": "equivalence", "valueCode": "equal"},
        {"name": "concept", "valueCoding": {"system": "urn:t", "code": "x"}},
    ]
    far.says(
        {
            "resourceType": "Parameters",
            "parameter": [{"name": "result", "valueBoolean": True}, {"name": "match", "part": match}],
        }
    )
    (found,) = await terminology.translate(
        TranslationRequest(codings=[{"system": FAR, "code": "a"}], concept_map="urn:map")
    )
    assert (found.equivalence, found.concept) == ("equal", {"system": "urn:t", "code": "x"})


@pytest.mark.parametrize(
    ("answer", "error", "problem"),
    [
        (
            httpx.Response(404, json=outcome("never heard of it")),
            NotFound,
            "http://far.example/fhir/ says: never heard of it",
        ),
        (httpx.Response(422, json=outcome("too much")), Unprocessable, "says: too much"),
        (httpx.Response(400, json={}), Unprocessable, "says: status 400"),
        (httpx.Response(500, text="oops"), Unavailable, "with status 500"),
        (httpx.Response(401, json=outcome("who are you?")), Unavailable, "with status 401"),
        (httpx.Response(302, headers={"location": "http://elsewhere"}), Unavailable, "with status 302"),
        (httpx.Response(200, text="<html>"), Unavailable, "with status 200"),
        (httpx.Response(200, json=outcome("fine")), Unavailable, "with status 200"),
        (httpx.ConnectError("refused"), Unavailable, "can't be reached: refused"),
        (httpx.ReadTimeout("slow"), Unavailable, "did not answer"),
        (httpx.RemoteProtocolError("nonsense"), Unavailable, "can't be reached"),
    ],
    ids=str,
)
async def test_failures(terminology, far, answer, error, problem):
    far.answer = answer
    with pytest.raises(error, match=problem):
        await terminology.expand(ExpansionRequest(value_set="urn:test:vs"))
    (said,) = await terminology.check([CodeQuestion(code="a", system=FAR)])
    assert said.result is None
    assert said.message


async def test_answers_without_a_result_are_nonsense(terminology, far):
    far.says(parameters(result="yes"))
    (said,) = await terminology.check([CodeQuestion(code="a", system=FAR)])
    assert "something else than asked for" in said.message
    far.says(parameters(outcome="perhaps"))
    with pytest.raises(Unavailable, match="something else than asked for"):
        await terminology.subsumes(FAR, "a", "b")
