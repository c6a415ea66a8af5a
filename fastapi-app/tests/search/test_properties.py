"""What is extracted from a value is found by that value, whatever the value."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fhirserver.fhir.datatypes.ids import is_id
from fhirserver.fhir.datatypes.text import normalised
from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.resource_json import Number
from fhirserver.search.keys import ParameterKeys
from fhirserver.search.query.tree import IdMatch
from fhirserver.search.types.clause import split, unescape

from .evaluate import BASE_URL, MADRID, Searcher, entry_is_sound, holds

SEARCHER = Searcher(Definitions.load())
IN_MADRID = Searcher(SEARCHER.definitions, MADRID)

BOUNDED = settings(deadline=None, max_examples=60)

# Strings of FHIR: no control characters but blanks, no surrogates.
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(str.strip)
CODE = TEXT.filter(lambda text: text == " ".join(text.split()))
URI = st.from_regex(r"(https?://|urn:)[a-z0-9./#?=,|$\\:-]{1,20}", fullmatch=True)
ID = st.from_regex(r"[A-Za-z0-9\-.]{1,64}", fullmatch=True).filter(is_id)
# At most 15 digits: that many a float tells apart.
NUMBER = st.decimals(-(10**10), 10**10, allow_nan=False, allow_infinity=False, places=4).map(
    lambda value: Number(str(value))
) | st.integers(-(2**40), 2**40)


@st.composite
def moments(draw: st.DrawFn, first: int = 1902, last: int = 2100) -> str:
    """dateTimes of every precision."""
    # Beyond `first` and `last`, floats of seconds are too coarse to tell the fractions apart.
    moment = draw(st.datetimes(datetime(first, 1, 1), datetime(last, 12, 31)))
    zone = draw(st.sampled_from(["Z", "+02:00", "-05:00", "+05:30"]))
    form = draw(st.sampled_from(["%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f"]))
    text = moment.strftime(form)
    text = text.zfill(len(text) + 4 - len(text.partition("-")[0]))
    if "." in text:
        text = text[: draw(st.integers(len(text) - 5, len(text)))]
    return text + zone if "T" in text else text


def escaped(text: str) -> str:
    for special in "\\,|$":
        text = text.replace(special, "\\" + special)
    return text


def finds(resource: dict[str, Any], name: str, value: str, searcher: Searcher = SEARCHER) -> bool:
    entry = searcher.extract(resource)
    assert entry_is_sound(entry)
    tree = searcher.parse(resource["resourceType"], (name, value)).tree
    return holds(tree, entry, resource.get("id", ""))


@BOUNDED
@given(st.lists(TEXT, min_size=1, max_size=3))
def test_strings(given_names: list[str]) -> None:
    patient = {"resourceType": "Patient", "name": [{"given": given_names}]}
    for text in given_names:
        assert finds(patient, "given:exact", escaped(text))
        if normalised(text):
            assert finds(patient, "given", escaped(text))
            assert finds(patient, "given", f" {escaped(text)} ")
            assert finds(patient, "name:contains", escaped(text))
    assert finds(patient, "given:missing", "false")


@BOUNDED
@given(TEXT.filter(str.isalpha), st.data())
def test_parts_of_strings(text: str, data: st.DataObject) -> None:
    patient = {"resourceType": "Patient", "name": [{"family": f"{text}x"}]}
    start = data.draw(st.integers(0, len(text) - 1))
    assert finds(patient, "family:contains", text[start:])
    assert finds(patient, "family", text[: start + 1])


@BOUNDED
@given(st.none() | URI, CODE)
def test_tokens(system: str | None, code: str) -> None:
    coding = {"code": code} | ({"system": system} if system is not None else {})
    observation = {"resourceType": "Observation", "code": {"coding": [coding]}}
    assert finds(observation, "code", escaped(code))
    assert finds(observation, "code", escaped(code.casefold()))
    assert finds(observation, "code", f"{escaped(system or '')}|{escaped(code)}")
    assert finds(observation, "code", f"|{escaped(code)}") is (system is None)
    assert not finds(observation, "code:not", escaped(code))
    assert not finds(observation, "code", f"{escaped(system or '')}x|{escaped(code)}")
    if system is not None:
        assert finds(observation, "code", f"{escaped(system)}|")


@BOUNDED
@given(st.none() | URI, TEXT)
def test_identifiers(system: str | None, value: str) -> None:
    identifier = {"value": value} | ({"system": system} if system is not None else {})
    observation = {"resourceType": "Observation", "subject": {"identifier": identifier}, "identifier": [identifier]}
    for name in ("identifier", "subject:identifier"):
        assert finds(observation, name, escaped(value))
        assert finds(observation, name, f"{escaped(system or '')}|{escaped(value)}")


@BOUNDED
@given(st.sampled_from(["Patient", "Group", "Device", "Location"]), ID, st.sampled_from(["", "/_history/3"]))
def test_references(resource_type: str, id: str, version: str) -> None:
    reference = f"{resource_type}/{id}"
    for stored in (reference, f"{BASE_URL}/{reference}"):
        observation = {"resourceType": "Observation", "subject": {"reference": stored + version}}
        for asked in (id, reference, f"{BASE_URL}/{reference}"):
            assert finds(observation, "subject", asked)
        assert finds(observation, f"subject:{resource_type}", id)
        assert finds(observation, "patient", id) is (resource_type == "Patient")


@BOUNDED
@given(URI.filter(lambda text: "|" not in text and not text.startswith(BASE_URL)), st.integers(0, 99))
def test_uris_and_canonicals(url: str, version: int) -> None:
    assert finds({"resourceType": "ValueSet", "url": url}, "url", escaped(url))
    for value in (url, f"{url}|{version}"):
        report = {"resourceType": "MeasureReport", "measure": value, "meta": {"profile": [value]}}
        for name in ("measure", "_profile"):
            assert finds(report, name, escaped(url))
            assert finds(report, name, escaped(value))


@BOUNDED
@given(NUMBER)
def test_numbers(value: Number | int) -> None:
    risk = {"resourceType": "RiskAssessment", "prediction": [{"probabilityDecimal": value}]}
    for prefix in ("", "eq", "ge", "le", "ap"):
        assert finds(risk, "probability", f"{prefix}{value}"), prefix
    for prefix in ("ne", "gt", "lt", "sa", "eb"):
        assert not finds(risk, "probability", f"{prefix}{value}"), prefix


@BOUNDED
@given(NUMBER, NUMBER)
def test_numbers_compare(value: Number | int, asked: Number | int) -> None:
    risk = {"resourceType": "RiskAssessment", "prediction": [{"probabilityDecimal": value}]}
    left, right = Decimal(value), Decimal(asked)
    expected = {"gt": left > right, "lt": left < right, "ge": left >= right, "le": left <= right}
    for prefix, holds_true in expected.items():
        assert finds(risk, "probability", f"{prefix}{asked}") is holds_true, prefix
    assert finds(risk, "probability", f"ne{asked}") is not finds(risk, "probability", f"eq{asked}")


@BOUNDED
@given(NUMBER, URI, CODE, CODE)
def test_quantities(value: Number | int, system: str, code: str, unit: str) -> None:
    quantity = {"value": value, "system": system, "code": code, "unit": unit}
    observation = {"resourceType": "Observation", "valueQuantity": quantity}
    units = ("", f"||{escaped(code)}", f"||{escaped(unit)}", f"|{escaped(system)}|{escaped(code)}")
    for suffix in units:
        for prefix in ("", "ge", "le", "ap"):
            assert finds(observation, "value-quantity", f"{prefix}{value}{suffix}")
        assert not finds(observation, "value-quantity", f"gt{value}{suffix}")


@BOUNDED
@given(moments(), st.sampled_from([SEARCHER, IN_MADRID]))
def test_dates(text: str, searcher: Searcher) -> None:
    period = {"start": text, "end": text}
    for element in ({"effectiveDateTime": text}, {"effectivePeriod": period}, {"effectiveTiming": {"event": [text]}}):
        observation = {"resourceType": "Observation", **element}
        for prefix in ("", "eq", "ge", "le", "ap"):
            assert finds(observation, "date", f"{prefix}{text}", searcher), prefix
        for prefix in ("ne", "gt", "lt", "sa", "eb"):
            assert not finds(observation, "date", f"{prefix}{text}", searcher), prefix


@BOUNDED
@given(moments(), moments(), st.sampled_from([SEARCHER, IN_MADRID]))
def test_prefixes_of_dates_agree(stored: str, asked: str, searcher: Searcher) -> None:
    observation = {"resourceType": "Observation", "effectiveDateTime": stored}
    found = {
        prefix: finds(observation, "date", prefix + asked, searcher)
        for prefix in ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")
    }
    assert found["ne"] is not found["eq"]
    assert found["ge"] is (found["gt"] or found["eq"])
    assert found["le"] is (found["lt"] or found["eq"])
    assert not (found["sa"] and found["eb"])
    assert found["gt"] or not found["sa"]
    assert found["lt"] or not found["eb"]
    assert found["eq"] or found["gt"] or found["lt"]


@BOUNDED
@given(moments(first=1, last=9998), st.sampled_from(["", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]))
def test_any_date_can_be_asked_for(text: str, prefix: str) -> None:
    for searcher in (SEARCHER, IN_MADRID):
        searcher.parse("Patient", ("_lastUpdated", prefix + text))
        patient = {"resourceType": "Patient", "birthDate": text[:10]}
        assert finds(patient, "birthdate", f"{text[:10]}", searcher)


@BOUNDED
@given(ID)
def test_ids(id: str) -> None:
    assert SEARCHER.parse("Patient", ("_id", id)).tree == IdMatch((id,))
    assert finds({"resourceType": "Patient", "id": id}, "_id", f"x,{id}")


@BOUNDED
@given(st.lists(st.text(max_size=8), min_size=1, max_size=4), st.sampled_from(",|$"))
def test_what_is_escaped_is_one_value(parts: list[str], separator: str) -> None:
    assert [unescape(part) for part in split(separator.join(map(escaped, parts)), separator)] == parts


@BOUNDED
@given(st.text(max_size=10), st.text(max_size=10))
def test_no_two_tokens_share_a_key(system: str, code: str) -> None:
    keys = ParameterKeys("Patient", "identifier")
    assert keys.token(None, f"{system}|{code}") != keys.token(system, code)
    assert keys.token(None, f"{system}|") != keys.system(system)
