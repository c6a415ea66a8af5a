"""The terminology operations over HTTP, on resources that are stored and on R4's own.

https://hl7.org/fhir/R4/terminology-service.html
"""

import json
from urllib.parse import urlencode

import pytest

from .building import unique

GENDER = "http://hl7.org/fhir/administrative-gender"
GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ENCOUNTERS = "http://terminology.hl7.org/ValueSet/v3-ActEncounterCode"


@pytest.fixture
def system():
    """The URL of a code system of this test."""
    return f"http://example.org/CodeSystem/{unique()}"


def concept(code, display=None, *below, **elements):
    made = {"code": code, **({"display": display} if display else {}), **elements}
    return made | {"concept": list(below)} if below else made


def code_system(url, **elements):
    """Colours: a hierarchy, a Spanish designation, one inactive and one abstract concept."""
    spanish = [{"language": "es", "value": "Rojo claro"}]
    dark = concept("dark-red", "Dark red", property=[{"code": "inactive", "valueBoolean": True}])
    red = concept("red", "Red", concept("light-red", "Light red", designation=spanish), dark)
    warm = concept("warm", "Warm colour", red, property=[{"code": "notSelectable", "valueBoolean": True}])
    blue = concept("blue", "Blue", property=[{"code": "wavelength", "valueDecimal": 0.470}])
    return {
        "resourceType": "CodeSystem", "url": url, "name": "Colours", "status": "active", "content": "complete",
        "caseSensitive": True, "concept": [warm, blue],
        "property": [{"code": "inactive", "type": "boolean"}, {"code": "wavelength", "type": "decimal"}],
    } | elements  # fmt: skip


def value_set(url, *include, **compose):
    return {
        "resourceType": "ValueSet",
        "url": url,
        "status": "active",
        "compose": {"include": list(include), **compose},
    }


def is_a(system, code):
    return {"system": system, "filter": [{"property": "concept", "op": "is-a", "value": code}]}


def parameters(**values):
    """A Parameters resource: url="…" is a valueUri, a dict with a resourceType is a resource."""
    kinds = {"url": "valueUri", "system": "valueUri", "code": "valueCode", "coding": "valueCoding", "codeableConcept": "valueCodeableConcept", "count": "valueInteger"}  # fmt: skip
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": name, "resource" if isinstance(value, dict) and "resourceType" in value else kinds[name]: value}
            for name, value in values.items()
        ],
    }


def codes(answer):
    """The codes of an expansion; nested ones in brackets."""
    assert answer.status_code == 200, answer.text

    def text(items):
        return " ".join(item["code"] + (f"({text(item['contains'])})" if "contains" in item else "") for item in items)

    return text(answer.json()["expansion"].get("contains", []))


def values(answer):
    """The values of a Parameters answer by name."""
    assert answer.status_code == 200, answer.text
    return {
        item["name"]: next(item[key] for key in item if key.startswith("value"))
        for item in answer.json()["parameter"]
        if "part" not in item
    }


def issue(answer):
    (found,) = answer.json()["issue"]
    return answer.status_code, found["code"]


@pytest.fixture
def expand(client):
    async def expand(url, **query):
        return await client.get(f"ValueSet/$expand?{urlencode({'url': url, **query})}")

    return expand


async def test_the_expansion_of_one_of_r4s_own(expand):
    answer = await expand(ENCOUNTERS, count=3, offset=2)
    expanded = answer.json()
    assert (expanded["url"], expanded["status"], "compose" in expanded) == (ENCOUNTERS, "active", False)
    expansion = expanded["expansion"]
    assert expansion["identifier"].startswith("urn:uuid:")
    assert (expansion["total"], expansion["offset"], codes(answer)) == (11, 2, "FLD HH IMP")
    assert {"name": "version", "valueUri": f"{ACT}|2018-08-12"} in expansion["parameter"]
    assert {"name": "count", "valueInteger": 3} in expansion["parameter"]
    assert "compose" in (await expand(ENCOUNTERS, includeDefinition="true")).json()


@pytest.mark.parametrize(
    ("query", "expected", "total", "why"),
    [
        ({}, "warm red light-red dark-red blue", 5, "all"),
        ({"activeOnly": "true"}, "warm red light-red blue", 4, "without what is inactive"),
        ({"excludeNotForUI": "true"}, "red light-red dark-red blue", 4, "without what is abstract"),
        ({"excludeNested": "false"}, "warm(red(light-red dark-red)) blue", 5, "nested"),
        ({"excludeNested": "false", "count": 2}, "warm red", 5, "pages are flat"),
        ({"filter": "re"}, "red dark-red light-red", 3, "words that begin so, the shortest first"),
        ({"filter": "rojo"}, "light-red", 1, "a designation"),
        ({"filter": "nothing"}, "", 0, "found nowhere"),
        ({"count": 2}, "warm red", 5, "the first page"),
        ({"count": 2, "offset": 4}, "blue", 5, "the last page"),
        ({"count": 2, "offset": 9}, "", 5, "beyond the end"),
        ({"count": 0}, "", 5, "the total only"),
        ({"offset": 3}, "dark-red blue", 5, "from the fourth on"),
    ],
)
async def test_expansions_of_a_stored_value_set(expand, store_all, system, query, expected, total, why):
    await store_all(code_system(system), value_set(system + "/all", {"system": system}))
    answer = await expand(system + "/all", **query)
    assert (codes(answer), answer.json()["expansion"]["total"]) == (expected, total), why


async def test_displays_and_designations(expand, store_all, system):
    own = {"system": system, "concept": [concept("blue", "Own blue"), concept("light-red")]}
    await store_all(code_system(system), value_set(system + "/own", own))
    expanded = (await expand(system + "/own", includeDesignations="true")).json()["expansion"]["contains"]
    assert [item["display"] for item in expanded] == ["Own blue", "Light red"]
    assert expanded[1]["designation"] == [{"language": "es", "value": "Rojo claro"}]
    spanish = (await expand(system + "/own", displayLanguage="es")).json()["expansion"]["contains"]
    assert [item["display"] for item in spanish] == ["Own blue", "Rojo claro"]


async def test_a_value_set_in_the_body_and_at_its_address(client, store_all, system):
    _, id = await store_all(code_system(system), value_set(system + "/warm", is_a(system, "red")))
    given = value_set(
        "urn:given", {"valueSet": [system + "/warm"]}, exclude=[{"system": system, "concept": [concept("red")]}]
    )
    for body in (given, parameters(valueSet=given)):
        assert codes(await client.post("ValueSet/$expand", json=body)) == "light-red dark-red"
    assert codes(await client.post("ValueSet/$expand?count=1", json=given)) == "light-red"
    assert codes(await client.get(f"ValueSet/{id}/$expand")) == "red light-red dark-red"
    assert codes(await client.post(f"ValueSet/{id}/$expand", json=parameters(count=1))) == "red"
    inactive = value_set("urn:given", {"system": system}, inactive=False)
    assert codes(await client.post("ValueSet/$expand", json=inactive)) == "warm red light-red blue"


async def test_changes_are_seen_at_once(client, expand, store_all, system):
    url = system + "/vs"
    assert issue(await expand(url)) == (404, "not-found")
    _, id = await store_all(code_system(system), value_set(url, is_a(system, "red")))
    assert codes(await expand(url)) == "red light-red dark-red"
    changed = value_set(url, is_a(system, "blue")) | {"id": id}
    await client.put(f"ValueSet/{id}", json=changed)
    assert codes(await expand(url)) == "blue"
    found = await client.get(f"CodeSystem?url={system}")
    await client.put(f"CodeSystem/{found.json()['entry'][0]['resource']['id']}", json=code_system(system, concept=[concept("blue"), concept("x")]) | {"id": found.json()["entry"][0]["resource"]["id"]})  # fmt: skip
    assert codes(await client.post("ValueSet/$expand", json=value_set("urn:x", {"system": system}))) == "blue x"
    await client.delete(f"ValueSet/{id}")
    assert issue(await expand(url)) == (404, "not-found")


async def test_versions(client, expand, store_all, system):
    await store_all(
        *(code_system(system, version=version, concept=[concept(f"v{version}")]) for version in ("1.9", "1.10")),
        value_set(system + "/vs", {"system": system}) | {"version": "a"},
        value_set(system + "/vs", {"system": system, "version": "1.9"}) | {"version": "b"},
    )
    for query, expected in (
        ({"url": system + "/vs|a"}, "v1.10"),  # the newest of the code system
        ({"url": system + "/vs|b"}, "v1.9"),
        ({"url": system + "/vs"}, "v1.9"),  # the newest of the value set
        ({"url": system + "/vs", "valueSetVersion": "a"}, "v1.10"),
        ({"url": system + "/vs|a", "system-version": system + "|1.9"}, "v1.9"),
        ({"url": system + "/vs|b", "system-version": system + "|1.10"}, "v1.9"),
        ({"url": system + "/vs|b", "force-system-version": system + "|1.10"}, "v1.10"),
        ({"url": system + "/vs|a", "check-system-version": system + "|1.9"}, "v1.9"),
        ({"url": system + "/vs|b", "exclude-system": system}, ""),
        ({"url": system + "/vs|b", "exclude-system": system + "|1.10"}, "v1.9"),
    ):
        assert codes(await expand(**query)) == expected, query
    for query, expected in (
        ({"url": system + "/vs|b", "check-system-version": system + "|1.10"}, (422, "business-rule")),
        ({"url": system + "/vs|c"}, (404, "not-found")),
        ({"url": system + "/vs|a", "system-version": system + "|7"}, (422, "not-found")),
        ({"url": system + "/vs|a", "system-version": system}, (400, "value")),
        ({"url": system + "/vs|a", "valueSetVersion": "b"}, (400, "invalid")),
    ):
        assert issue(await expand(**query)) == expected, query
    looked_up = await client.get(f"CodeSystem/$lookup?system={system}&code=v1.9&version=1.9")
    assert values(looked_up)["version"] == "1.9"
    assert issue(await client.get(f"CodeSystem/$lookup?system={system}&code=v1.9")) == (404, "not-found")


@pytest.mark.parametrize(
    ("query", "result", "said", "why"),
    [
        ({"code": "red"}, True, {"display": "Red"}, "of any code system"),
        ({"code": "red", "system": "{}"}, True, {"display": "Red"}, "of its code system"),
        ({"code": "red", "system": "{}", "display": " RED "}, True, {"display": "Red"}, "a display, whatever its case"),
        ({"code": "light-red", "display": "Rojo claro"}, True, {"display": "Light red"}, "a designation is a display"),
        ({"code": "light-red", "displayLanguage": "es"}, True, {"display": "Rojo claro"}, "in a language"),
        ({"code": "red", "display": "Blue"}, False, {"display": "Red", "message": "the display 'Blue' is wrong"}, "wrong"),
        ({"code": "blue"}, False, {"message": "is not in the value set"}, "excluded"),
        ({"code": "unknown"}, False, {"message": "is not in the value set"}, "no code"),
        ({"code": "unknown", "system": "{}"}, False, {"message": "its code system does not have it either"}, "no code"),
        ({"code": "RED"}, False, {"message": "is not in the value set"}, "case matters in the code system"),
        ({"code": "red", "system": "http://other"}, False, {"message": "has no codes of the code system 'http://other'"}, "other"),
        ({"code": "dark-red"}, True, {"message": "is inactive"}, "a warning"),
        ({"code": "warm"}, True, {}, "abstract, but nobody says it mustn't be"),
        ({"code": "warm", "abstract": "false"}, False, {"message": "is abstract"}, "abstract"),
    ],
)  # fmt: skip
async def test_validate_code_of_a_value_set(client, store_all, system, query, result, said, why):
    blue = {"system": system, "concept": [concept("blue")]}
    await store_all(code_system(system), value_set(system + "/vs", {"system": system}, exclude=[blue]))
    asked = {name: value.format(system) for name, value in query.items()}
    answer = values(await client.get(f"ValueSet/$validate-code?{urlencode({'url': system + '/vs', **asked})}"))
    assert answer["result"] is result, why
    assert all(text in answer[name] for name, text in said.items()), (why, answer)


async def test_validate_code_of_codings_and_concepts(client, store_all, system):
    _, id = await store_all(code_system(system), value_set(system + "/vs", is_a(system, "red")))
    red, blue = ({"system": system, "code": code} for code in ("red", "blue"))
    for coded, result in (
        ({"coding": red}, True),
        ({"coding": blue}, False),
        ({"coding": red | {"display": "Blue"}}, False),
        ({"codeableConcept": {"coding": [blue, red]}}, True),
        ({"codeableConcept": {"coding": [blue, {"system": "http://x", "code": "red"}], "text": "x"}}, False),
    ):
        for address, more in (
            ("ValueSet/$validate-code", {"url": system + "/vs"}),
            (f"ValueSet/{id}/$validate-code", {}),
            ("ValueSet/$validate-code", {"valueSet": value_set("urn:given", {"valueSet": [system + "/vs"]})}),
        ):
            answer = await client.post(address, json=parameters(**more, **coded))
            assert values(answer)["result"] is result, (coded, address)


async def test_validate_code_of_a_code_system(client, store_all, system):
    (id,) = await store_all(code_system(system, version="3"))
    given = code_system("urn:given")
    for query, body, result in (
        (f"url={system}&code=red", None, True),
        (f"url={system}&code=green", None, False),
        (f"url={system}&code=red&version=3", None, True),
        (f"url={system}&code=red&display=Blue", None, False),
        (f"coding={system}|red", None, 400),  # a Coding does not fit into a URL
        ("", parameters(url=system, coding={"system": system, "code": "red"}), True),
        ("", parameters(url=system, coding={"system": "http://other", "code": "red"}), 400),
        ("", parameters(coding={"system": system, "code": "light-red"}), True),
        ("", parameters(codeableConcept={"coding": [{"system": system, "code": "x"}, {"system": GENDER, "code": "male"}]}), True),
        ("", parameters(codeSystem=given, code="red"), True),
        ("", parameters(codeSystem=given, code="green"), False),
        (f"url={system}&code=red&version=4", None, 404),
        ("url=http://nowhere&code=red", None, 404),
        (f"url={GENDER}&code=male", None, True),
        ("url=urn:ietf:bcp:47&code=es-MX", None, True),
        ("url=urn:ietf:bcp:47&code=es_MX", None, False),
    ):  # fmt: skip
        address = f"CodeSystem/$validate-code?{query}"
        answer = await (client.get(address) if body is None else client.post(address, json=body))
        if isinstance(result, bool):
            assert values(answer)["result"] is result, (query, body)
        else:
            assert answer.status_code == result, (query, body)
    for code, result in (("red", True), ("green", False)):
        assert values(await client.get(f"CodeSystem/{id}/$validate-code?code={code}"))["result"] is result


async def test_lookup(client, system):
    content = json.dumps(code_system(system, version="3", title="All colours")).replace("0.47", "0.470")
    assert (await client.post("CodeSystem", content=content)).status_code == 201
    answer = (await client.get(f"CodeSystem/$lookup?system={system}&code=light-red")).json()["parameter"]
    assert answer[:3] == [
        {"name": "name", "valueString": "All colours"},
        {"name": "version", "valueString": "3"},
        {"name": "display", "valueString": "Light red"},
    ]
    assert {"name": "designation", "part": [{"name": "language", "valueCode": "es"}, {"name": "value", "valueString": "Rojo claro"}]} in answer  # fmt: skip
    assert _property("parent", "valueCode", "red") in answer
    coding = parameters(coding={"system": system, "code": "red"})
    answer = (await client.post("CodeSystem/$lookup", json=coding)).json()["parameter"]
    assert [_property("child", "valueCode", code) in answer for code in ("light-red", "dark-red", "blue")] == [
        True,
        True,
        False,
    ]
    only = (await client.get(f"CodeSystem/$lookup?system={system}&code=blue&property=wavelength")).text
    assert '"valueDecimal":0.470' in only.replace(" ", "")  # as it was written
    assert '"inactive"' not in only
    spanish = await client.get(f"CodeSystem/$lookup?system={system}&code=light-red&displayLanguage=es&property=lang.de")
    assert (values(spanish)["display"], "designation" in spanish.text) == ("Rojo claro", False)


def _property(code, kind, value):
    return {"name": "property", "part": [{"name": "code", "valueCode": code}, {"name": "value", kind: value}]}


@pytest.mark.parametrize(
    ("a", "b", "outcome"),
    [
        ("red", "red", "equivalent"),
        ("warm", "light-red", "subsumes"),
        ("light-red", "warm", "subsumed-by"),
        ("light-red", "dark-red", "not-subsumed"),
        ("blue", "warm", "not-subsumed"),
        ("red", "green", 404),
    ],
)
async def test_subsumes(client, store_all, system, a, b, outcome):
    (id,) = await store_all(code_system(system))
    codings = [
        {"name": f"coding{side}", "valueCoding": {"system": system, "code": code}}
        for side, code in (("A", a), ("B", b))
    ]
    for answer in (
        await client.get(f"CodeSystem/$subsumes?system={system}&codeA={a}&codeB={b}"),
        await client.get(f"CodeSystem/{id}/$subsumes?codeA={a}&codeB={b}"),
        await client.post("CodeSystem/$subsumes", json={"resourceType": "Parameters", "parameter": codings}),
    ):
        assert (answer.status_code if outcome == 404 else values(answer)["outcome"]) == outcome


async def test_translate(client, store_all, system):
    target = system + "-target"
    elements = [
        {"code": "red", "target": [{"code": "R", "display": "Rot", "equivalence": "equivalent"}]},
        {"code": "blue", "target": [{"equivalence": "unmatched"}]},
    ]
    concept_map = {
        "resourceType": "ConceptMap", "url": system + "/map", "status": "active", "sourceUri": system + "/from",
        "group": [{"source": system, "target": target, "targetVersion": "2", "element": elements}],
    }  # fmt: skip
    (id,) = await store_all(concept_map)
    match = {"name": "match", "part": [
        {"name": "equivalence", "valueCode": "equivalent"},
        {"name": "concept", "valueCoding": {"system": target, "version": "2", "code": "R", "display": "Rot"}},
        {"name": "source", "valueUri": system + "/map"},
    ]}  # fmt: skip
    for query in (f"url={system}/map", f"source={system}/from", f"targetsystem={target}", ""):
        answer = await client.get(f"ConceptMap/$translate?system={system}&code=red&{query}")
        assert answer.json()["parameter"] == [{"name": "result", "valueBoolean": True}, match], query
    assert values(await client.get(f"ConceptMap/{id}/$translate?system={system}&code=red"))["result"] is True
    coded = {"coding": [{"system": "http://x", "code": "red"}, {"system": system, "code": "red"}]}
    for body in (parameters(codeableConcept=coded), parameters(conceptMap=concept_map, coding=coded["coding"][1])):
        assert values(await client.post("ConceptMap/$translate", json=body))["result"] is True
    back = await client.get(f"ConceptMap/$translate?system={target}&code=R&reverse=true&url={system}/map")
    assert back.json()["parameter"][1]["part"][1] == {
        "name": "concept",
        "valueCoding": {"system": system, "code": "red"},
    }
    for code, message in (("blue", "there is no equivalent"), ("green", "no map has a translation")):
        answer = values(await client.get(f"ConceptMap/$translate?system={system}&code={code}"))
        assert (answer["result"], message in answer["message"]) == (False, True)
    assert values(await client.get(f"ConceptMap/$translate?system={system}&code=red&source=urn:no"))["result"] is False


async def test_translate_by_r4s_own_maps(client):
    query = "system=http://hl7.org/fhir/address-use&code=home&url=http://hl7.org/fhir/ConceptMap/cm-address-use-v3"
    answer = (await client.get(f"ConceptMap/$translate?{query}")).json()["parameter"]
    assert answer[1]["part"][1]["valueCoding"] == {
        "system": "http://terminology.hl7.org/CodeSystem/v3-AddressUse",
        "code": "H",
    }


CYCLE = value_set("urn:cycle", {"valueSet": ["urn:cycle"]})


@pytest.mark.parametrize(
    ("method", "address", "body", "expected", "why"),
    [
        ("GET", "ValueSet/$expand", None, (400, "required"), "no value set"),
        ("GET", "ValueSet/$expand?url=http://nowhere", None, (404, "not-found"), "unknown value set"),
        ("GET", "ValueSet/nothing/$expand", None, (404, "not-found"), "unknown instance"),
        ("GET", f"ValueSet/$expand?url={GENDERS}&count=-1", None, (400, "value"), "a negative count"),
        ("GET", f"ValueSet/$expand?url={GENDERS}&count=9999999999", None, (400, "value"), "too large a count"),
        ("GET", f"ValueSet/$expand?url={GENDERS}&count=x", None, (400, "value"), "no number"),
        ("GET", f"ValueSet/$expand?url={GENDERS}&nothing=1", None, (400, "not-supported"), "an unknown parameter"),
        ("GET", f"ValueSet/$expand?url={GENDERS}&date=2020", None, (400, "not-supported"), "the past is not known"),
        ("GET", f"ValueSet/$expand?url={GENDERS}&url=x", None, (400, "invalid"), "twice"),
        ("GET", f"ValueSet/$expand?url={GENDERS}&system-version=a|1&system-version=a|2", None, (400, "invalid"), "contradicts itself"),
        ("GET", "ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/mimetypes", None, (422, "too-costly"), "without end"),
        ("GET", "ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/mimetypes&count=5", None, (422, "too-costly"), "without beginning"),
        ("GET", "ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/condition-code", None, (422, "not-found"), "needs SNOMED CT"),
        ("GET", "ValueSet/$expand?url=http://snomed.info/sct?fhir_vs", None, (404, "not-found"), "implied by an unknown code system"),
        ("POST", "ValueSet/$expand", parameters(url=GENDERS, valueSet=CYCLE), (400, "invalid"), "two value sets"),
        ("POST", f"ValueSet/$expand?url={GENDERS}", CYCLE, (400, "invalid"), "two value sets"),
        ("POST", "ValueSet/$expand", CYCLE, (422, "processing"), "imports itself"),
        ("POST", "ValueSet/$expand", value_set("urn:x", {"valueSet": ["http://nowhere"]}), (422, "not-found"), "unknown import"),
        ("POST", "ValueSet/$expand", value_set("urn:x", {"system": "http://nowhere"}), (422, "not-found"), "unknown code system"),
        ("POST", "ValueSet/$expand", {"resourceType": "ValueSet", "status": "active", "x": 1}, (422, "structure"), "not valid"),
        ("POST", "ValueSet/$expand", {"resourceType": "Parameters", "parameter": [{"name": "url"}]}, None, "no value"),
        ("POST", "ValueSet/$expand", {"resourceType": "Patient"}, (400, "invalid"), "another resource"),
        ("GET", f"ValueSet/$validate-code?url={GENDERS}", None, (400, "required"), "no code"),
        ("GET", "ValueSet/$validate-code?code=x", None, (400, "required"), "no value set"),
        ("GET", "ValueSet/$validate-code?code=x&url=http://nowhere", None, (404, "not-found"), "unknown value set"),
        ("POST", "ValueSet/$validate-code", parameters(url=GENDERS, code="male", coding={"code": "male"}), (400, "invalid"), "two codes"),
        ("POST", "ValueSet/$validate-code", parameters(url=GENDERS, coding={"system": GENDER}), (400, "required"), "no code in it"),
        ("POST", "ValueSet/$validate-code", parameters(url=GENDERS, codeableConcept={"text": "x"}), (400, "required"), "no coding"),
        ("POST", "ValueSet/$validate-code", parameters(valueSet=CYCLE, code="x"), (422, "processing"), "imports itself"),
        ("GET", "CodeSystem/$validate-code?code=male", None, (400, "required"), "no code system"),
        ("GET", "CodeSystem/$lookup?code=male", None, (400, "required"), "no code system"),
        ("GET", f"CodeSystem/$lookup?system={GENDER}", None, (400, "required"), "no code"),
        ("GET", f"CodeSystem/$lookup?system={GENDER}&code=x", None, (404, "not-found"), "unknown code"),
        ("GET", "CodeSystem/$lookup?system=http://nowhere&code=x", None, (404, "not-found"), "unknown code system"),
        ("GET", f"CodeSystem/$lookup?system={GENDER}&code=male&version=9", None, (404, "not-found"), "unknown version"),
        ("GET", f"CodeSystem/$lookup?system={GENDER}&code=%00", None, (400, "invalid"), "a zero byte"),
        ("GET", f"CodeSystem/$subsumes?system={GENDER}&codeA=male", None, (400, "required"), "one code"),
        ("GET", "CodeSystem/$subsumes?codeA=male&codeB=male", None, (400, "required"), "no code system"),
        ("GET", "CodeSystem/$subsumes?system=http://nowhere&codeA=male&codeB=male", None, (404, "not-found"), "unknown"),
        ("GET", f"ConceptMap/$translate?system={GENDER}", None, (400, "required"), "no code"),
        ("GET", "ConceptMap/$translate?code=male", None, (400, "required"), "no code system"),
        ("GET", f"ConceptMap/$translate?system={GENDER}&code=male&url=http://nowhere", None, (404, "not-found"), "unknown map"),
    ],
)  # fmt: skip
async def test_bad_input(client, method, address, body, expected, why):
    answer = await client.request(method, address, json=body)
    assert answer.json()["resourceType"] == "OperationOutcome", why
    assert all(item["diagnostics"] for item in answer.json()["issue"])
    if expected is not None:
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == expected, (why, answer.text)
    else:
        assert 400 <= answer.status_code < 500, why


async def test_the_statements_of_an_answer_are_few(client, store_all, system, statements):
    """What is known from less than a second ago is not asked for again."""
    await store_all(
        code_system(system),
        value_set(system + "/a", {"valueSet": [system + "/b"]}),
        value_set(system + "/b", {"system": system}),
    )
    address = f"ValueSet/$validate-code?url={system}/a&system={system}&code=red"
    statements.names.clear()
    await client.get(address)
    assert statements.names == [
        "canonicals", "read_many",  # the value set
        "canonicals", "read_many",  # what it imports
        "canonicals", "read_many", "code_systems",  # the code system
    ]  # fmt: skip
    statements.names.clear()
    await client.get(address)
    assert statements.names == []


async def test_terminology_capabilities_say_what_there_is(client, store_all, system):
    await store_all(code_system(system, version="7"))
    said = (await client.get("metadata?mode=terminology")).json()
    known = {item["uri"]: [version["code"] for version in item.get("version", [])] for item in said["codeSystem"]}
    assert (known[system], known[GENDER], known["urn:ietf:bcp:47"]) == (["7"], ["4.0.1"], [])
    assert len(known) > 1050
    assert {"name": "filter"} in said["expansion"]["parameter"]
    assert {"name": "date"} not in said["expansion"]["parameter"]
    offered = {
        f"{resource['type']}/${operation['name']}"
        for resource in (await client.get("metadata")).json()["rest"][0]["resource"]
        for operation in resource.get("operation", [])
    }
    assert offered >= {"ValueSet/$expand", "ValueSet/$validate-code", "CodeSystem/$validate-code", "CodeSystem/$lookup", "CodeSystem/$subsumes", "ConceptMap/$translate"}  # fmt: skip


async def test_search_by_value_sets_and_hierarchies(client, store_all, system, tag):
    await store_all(code_system(system), value_set(system + "/reds", is_a(system, "red")))
    coded = [
        {"code": {"coding": [{"system": system, "code": code}]}} for code in ("warm", "light-red", "dark-red", "blue")
    ]
    labels = {"meta": {"tag": [{"code": tag}]}}
    stored = await store_all(*({"resourceType": "Basic", **labels, **elements} for elements in coded))
    warm, light, dark, blue = stored
    for criteria, expected in (
        (f"code:in={system}/reds", {light, dark}),
        (f"code:not-in={system}/reds", {warm, blue}),
        (f"code:below={system}|warm", {warm, light, dark}),
        (f"code:above={system}|light-red", {warm, light}),
        ("code:in=http://nowhere", "not-found"),
        (f"code:below={system}|green", "not-found"),
        ("code:in=http://hl7.org/fhir/ValueSet/mimetypes", "too-costly"),
    ):
        answer = await client.get(f"Basic?_tag={tag}&{criteria}")
        if isinstance(expected, str):
            assert issue(answer) == (400, expected), criteria
        else:
            assert {entry["resource"]["id"] for entry in answer.json().get("entry", [])} == expected, criteria
