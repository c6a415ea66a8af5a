"""What is written conforms to the profiles that it claims, and to those that its type requires."""

import json
from typing import Any

import pytest

from .conftest import Instance, Json, Start, element, profile

NAMED = profile("named", "Patient", element("Patient.name", min=1))
BORN = profile("born", "Patient", element("Patient.birthDate", min=1))
FEMALE = profile("female", "Patient", element("Patient.gender", min=1, fixedCode="female"))


def patient(*profiles: str, **more: Any) -> Json:
    meta = {"meta": {"profile": [f"http://a.b/{name}" for name in profiles]}} if profiles else {}
    return {"resourceType": "Patient", **meta, **more}


NAME: Json = {"name": [{"family": "x"}]}


async def test_a_claimed_profile_is_enforced(one: Instance) -> None:
    await one.put(NAMED)
    assert await one.problems(patient("named", **NAME)) == []
    assert await one.problems(patient()) == []
    assert [place for place, _ in await one.problems(patient("named"))] == ["Patient"]


async def test_all_issues_of_all_profiles_at_once(one: Instance) -> None:
    await one.put(NAMED, FEMALE)
    found = await one.problems(patient("named", "female", gender="male", birthDate="2024-02-30"))
    assert [place for place, _ in found] == ["Patient.birthDate", "Patient", "Patient.gender"]


async def test_it_is_enforced_by_all_processes_and_then_forgotten(one: Instance, other: Instance) -> None:
    await one.put(NAMED)
    assert await other.problems(patient("named")) == []
    await other.hear()
    assert await other.problems(patient("named")) != []
    await one.client.delete("StructureDefinition/named")
    await other.hear()
    assert await other.problems(patient("named")) == []


@pytest.mark.parametrize("kind", ["transaction", "batch"])
async def test_in_bundles(one: Instance, kind: str) -> None:
    await one.put(NAMED)
    entries = [{"resource": patient("named"), "request": {"method": "POST", "url": "Patient"}}] * 2
    answer = await one.client.post("", json={"resourceType": "Bundle", "type": kind, "entry": entries})
    if kind == "transaction":
        assert answer.status_code == 422
        issues = answer.json()["issue"]
    else:
        issues = [item["response"]["outcome"]["issue"][0] for item in answer.json()["entry"]]
    assert [issue["expression"] for issue in issues] == [[f"Bundle.entry[{index}].resource"] for index in (0, 1)]


async def test_updates_too(one: Instance) -> None:
    await one.put(NAMED)
    assert (await one.client.put("Patient/p", json=patient("named", id="p"))).status_code == 422


@pytest.mark.parametrize("mode", ["structure", "off"])
async def test_only_where_all_rules_apply(start: Start, mode: str) -> None:
    instance = await start(mode=mode)
    await instance.put(NAMED)
    assert await instance.problems(patient("named")) == []


async def test_profiles_that_are_not_known(start: Start) -> None:
    assert await (await start()).problems(patient("nobody")) == []
    strict = await start(unknown_profiles="refuse")
    [(place, text)] = await strict.problems(patient("nobody"))
    assert place == "Patient.meta.profile[0]"
    assert "http://a.b/nobody is not known" in text
    own = {"meta": {"profile": ["http://hl7.org/fhir/StructureDefinition/Patient"]}}
    assert await strict.problems({"resourceType": "Patient"} | own) == []


async def test_profiles_that_can_not_be_used(start: Start) -> None:
    instance = await start(unknown_profiles="refuse")
    await instance.put(profile("orphan", "Patient", baseDefinition="http://a.b/nobody"))
    [(_, text)] = await instance.problems(patient("orphan"))
    assert "can't be used: the base http://a.b/nobody is not known" in text


REQUIRED: list[tuple[Json, list[str], str]] = [
    (NAME | {"birthDate": "2000"}, [], "conforms to all"),
    ({"birthDate": "2000"}, ["Patient"], "has no name, which one requires"),
    (NAME, ["Patient"], "is neither born nor female"),
    (NAME | {"gender": "female"}, [], "conforms to the second alternative"),
    (NAME | {"gender": "female", "meta": {"profile": ["http://a.b/born"]}}, ["Patient"], "has to be what it claims"),
]


@pytest.mark.parametrize(("more", "places", "reason"), REQUIRED, ids=[case[-1] for case in REQUIRED])
async def test_profiles_that_a_type_requires(start: Start, more: Json, places: list[str], reason: str) -> None:
    alternatives = ["http://a.b/born", "http://a.b/female"]
    instance = await start(required_profiles={"Patient": ["http://a.b/named", alternatives]})
    await instance.put(NAMED, BORN, FEMALE)
    assert [place for place, _ in await instance.problems(patient(**more))] == places
    assert await instance.problems({"resourceType": "Basic", "code": {"text": "x"}}) == []


async def test_a_required_profile_has_to_be_known(start: Start) -> None:
    instance = await start(required_profiles={"Patient": ["http://a.b/named"]})
    [(place, text)] = await instance.problems(patient(**NAME))
    assert (place, "is not known" in text) == ("Patient", True)


def value_set(*codes: str, **more: Any) -> Json:
    include = {"system": "http://a.b/colours", "concept": [{"code": code} for code in codes]}
    return {
        "resourceType": "ValueSet",
        "id": "colours",
        "url": "http://a.b/colours",
        "status": "active",
        "compose": {"include": [include]},
        **more,
    }


COLOURED = profile(
    "coloured", "Basic", element("Basic.code", binding={"strength": "required", "valueSet": "http://a.b/colours"})
)


def coloured(code: str) -> Json:
    coding = {"system": "http://a.b/colours", "code": code}
    return {"resourceType": "Basic", "meta": {"profile": ["http://a.b/coloured"]}, "code": {"coding": [coding]}}


async def test_codes_of_stored_value_sets(one: Instance, other: Instance) -> None:
    await one.put(COLOURED, value_set("red"))
    await other.hear()
    for instance in (one, other):
        assert await instance.problems(coloured("red")) == []
        [(place, text)] = await instance.problems(coloured("blue"))
        assert (place, "http://a.b/colours" in text) == ("Basic.code", True)
    await one.put(value_set("blue"))
    await other.hear()
    for instance in (one, other):
        assert await instance.problems(coloured("blue")) == []
        assert await instance.problems(coloured("red")) != []


async def test_a_value_set_that_is_not_known_refuses_nothing(one: Instance) -> None:
    await one.put(COLOURED)
    assert await one.problems(coloured("blue")) == []


LARGE = [f"c{number}" for number in range(3000)]


async def test_codes_of_large_value_sets_are_asked_for_at_once(one: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    await one.put(COLOURED, value_set(*LARGE))
    asked: list[int] = []
    terminology = one.process.current.server.terminology
    check = terminology.check

    async def counted(questions: Any) -> Any:
        asked.append(len(questions))
        return await check(questions)

    monkeypatch.setattr(terminology, "check", counted)
    assert await one.problems(coloured("c2999")) == []
    [(place, text)] = await one.problems(coloured("blue"))
    assert (place, "http://a.b/colours" in text) == ("Basic.code", True)
    assert asked == [1, 1]
    codes = ["c1", "blue", "c2", "green", "c3"]
    entries = [{"resource": coloured(code), "request": {"method": "POST", "url": "Basic"}} for code in codes]
    answer = await one.client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 422
    places = [issue["expression"][0] for issue in answer.json()["issue"]]
    assert places == [f"Bundle.entry[{index}].resource.code" for index in (1, 3)]
    assert asked == [1, 1, 5]


async def test_validate_by_any_profile(one: Instance) -> None:
    await one.put(NAMED | {"version": "1.2"})

    async def told(resource: Json, profile: str | None = None) -> list[tuple[str, str]]:
        params = {"profile": profile} if profile is not None else {}
        answer = await one.client.post("Patient/$validate", params=params, content=json.dumps(resource).encode())
        assert answer.status_code == 200, answer.text
        return [
            (issue["severity"], issue["code"])
            for issue in answer.json()["issue"]
            if "dom-6" not in issue["diagnostics"] and issue["code"] != "informational"
        ]

    assert await told(patient(**NAME), "http://a.b/named") == []
    for canonical in ("http://a.b/named", "http://a.b/named|1.2"):
        assert await told(patient(), canonical) == [("error", "required")]
    assert await told(patient("named")) == [("error", "required")]
    assert await told(patient(**NAME), "http://a.b/named|1.3") == [("error", "not-found")]
    assert await told(patient("nobody", **NAME)) == [("warning", "not-found")]
    assert ("error", "invalid") in await told(patient(**NAME), "http://hl7.org/fhir/StructureDefinition/vitalsigns")
