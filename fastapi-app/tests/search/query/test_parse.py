"""Query parameters → tree. https://hl7.org/fhir/R4/search.html"""

import pytest

from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.search.query.clauses import TooMuch
from fhirserver.search.query.tree import NOTHING, KeyMatch, disjunction

from ..evaluate import Searcher


@pytest.mark.parametrize(
    ("resource_type", "query", "printed"),
    [
        ("Patient", "", "everything"),
        ("Patient", "family=Berg", "family starts 'berg'"),
        ("Patient", "family:contains=ÉR", "family contains 'er'"),
        ("Patient", "family:exact=Berg", "family:exact=Berg"),
        ("Patient", "family=a,b", "(family starts 'a' OR family starts 'b')"),
        ("Patient", "family=a&family=b", "(family starts 'a' AND family starts 'b')"),
        ("Patient", "family=a\\,b", "family starts 'a,b'"),
        ("Patient", "gender=male,female", "gender=male,gender=female"),
        ("Patient", "gender:not=male,female", "NOT gender:not=male,gender:not=female"),
        ("Patient", "gender:missing=false", "gender:missing=false"),
        ("Patient", "gender:missing=true", "NOT gender:missing=false"),
        ("Patient", "_id=a,b", "_id=a,b"),
        ("Patient", "_id:not=a", "NOT _id=a"),
        ("Patient", "birthdate=1980", "birthdate=1980"),
        ("Patient", "birthdate=gt1970-01-01", "birthdate=gt1970-01-01[high > 86399.999999]"),
        ("Patient", "birthdate=le1970-01-01",
         "birthdate=le1970-01-01[low < 0.0 | low >= 0.0 & high <= 86399.999999]"),
        ("Patient", "_lastUpdated=ge2024-01-01T00:00:00Z",
         "_lastUpdated[> 2024-01-01T00:00:00.999999+00:00"
         " | >= 2024-01-01T00:00:00+00:00 & <= 2024-01-01T00:00:00.999999+00:00]"),
        ("RiskAssessment", "probability=lt5", "probability=lt5[low < 5.0]"),
        ("RiskAssessment", "probability=ne5", "probability=ne5[low < 4.5 | high > 5.499999999999999]"),
        ("RiskAssessment", "probability=sa5,eb2", "(probability=sa5[low > 5.0] OR probability=eb2[high < 2.0])"),
        ("Observation", "value-quantity=ap10||mg", "value-quantity=ap10||mg[low <= 11.0 & high >= 9.0]"),
        ("Observation", "subject=Patient/1,Group/2", "subject=Patient/1,subject=Group/2"),
        ("Observation", "subject:Patient=1", "subject:Patient=1"),
        ("ValueSet", "url=http://a,http://b", "url=http://a,url=http://b"),
        ("Patient", "gender=male&family=a,b&_id=1",
         "(gender=male AND (family starts 'a' OR family starts 'b') AND _id=1)"),
    ],
)  # fmt: skip
def test_canonical_print(searcher: Searcher, resource_type: str, query: str, printed: str) -> None:
    params = [(name, value) for name, _, value in (part.partition("=") for part in query.split("&") if part)]
    assert str(searcher.parse(resource_type, *params)) == f"{resource_type} WHERE {printed}"


def test_what_was_applied(searcher: Searcher) -> None:
    request = searcher.parse(
        "Patient",
        ("family", "a"), ("_format", "json"), ("_pretty", "true"), ("nonsense", "1"), ("gender", ""), ("_count", "5"),
        ("_sort", "-birthdate"), ("_cursor", "xyz"), ("family", "b"),
        lenient=True,
    )  # fmt: skip
    assert request.applied == (("family", "a"), ("_count", "5"), ("_sort", "-birthdate"), ("family", "b"))
    assert str(request) == "Patient WHERE (family starts 'a' AND family starts 'b') ORDER BY -birthdate"
    assert (request.count, request.cursor) == (5, "xyz")
    (issue,) = request.ignored
    assert (issue.severity, issue.code, issue.expression) == ("warning", "not-supported", ("nonsense",))
    assert issue.diagnostics == "Patient has no search parameter 'nonsense': ignored"


@pytest.mark.parametrize(
    "name", ["family", "birthdate", "_id", "_filter", "general-practitioner.name", "_has:Observation:patient:code"]
)
def test_a_name_without_a_value_asks_for_nothing(searcher: Searcher, name: str) -> None:
    request = searcher.parse("Patient", (name, ""))
    assert request.is_everything
    assert request.applied == ()


def test_of_what_is_told_once_the_last_counts(searcher: Searcher) -> None:
    request = searcher.parse(
        "Patient", ("_count", "1"), ("_sort", "family"), ("_count", "2"), ("_sort", "-given"),
        ("_elements", "name"), ("_elements", "gender"),
    )  # fmt: skip
    assert (request.count, [str(key) for key in request.sort]) == (2, ["family", "-given"])
    assert request.elements == ("name", "gender")
    assert [item for item in request.applied if item[0] == "_count"] == [("_count", "2")]


@pytest.mark.parametrize("name", ["nonsense", "value-quantity", "Family", "_type", "nonsense:exact"])
def test_unknown_parameters(searcher: Searcher, name: str) -> None:
    assert searcher.parse("Patient", (name, "1"), lenient=True).is_everything
    with pytest.raises(InvalidRequest, match=f"^Patient has no search parameter '{name.partition(':')[0]}'$") as caught:
        searcher.parse("Patient", (name, "1"))
    assert (caught.value.issues[0].code, caught.value.issues[0].expression) == ("not-supported", (name,))


@pytest.mark.parametrize("lenient", [True, False])
@pytest.mark.parametrize(
    ("resource_type", "name", "message"),
    [
        ("Patient", "gender:exact",
         "gender is a token parameter and takes no modifier 'exact'; it takes :missing, :not, :text, :in, :not-in, :above, :below"),
        ("Patient", "family:not",
         "family is a string parameter and takes no modifier 'not'; it takes :missing, :exact, :contains, :text"),
        ("Patient", "birthdate:contains",
         "birthdate is a date parameter and takes no modifier 'contains'; it takes :missing"),
        ("Patient", "gender:of-type",
         "gender is a token parameter and takes no modifier 'of-type'; it takes :missing, :not, :text, :in, :not-in, :above, :below"),
        ("Patient", "_id:exact", "_id is a token parameter and takes no modifier 'exact'; it takes :missing, :not"),
        ("Patient", "_lastUpdated:not",
         "_lastUpdated is a date parameter and takes no modifier 'not'; it takes :missing"),
        ("Patient", "_sort:asc", "_sort takes no modifier 'asc'"),
        ("Patient", "_filter:exact", "_filter takes no modifier 'exact'"),
        ("Patient", "_list:not", "_list takes no modifier 'not'"),
        ("RiskAssessment", "probability:not",
         "probability is a number parameter and takes no modifier 'not'; it takes :missing"),
        ("Observation", "value-quantity:exact",
         "value-quantity is a quantity parameter and takes no modifier 'exact'; it takes :missing"),
        ("Observation", "subject:Nonsense",
         "subject is a reference parameter and takes no modifier 'Nonsense'; it takes :missing, :identifier, :above, :below, :[type]"),
        ("Observation", "code:Patient",
         "code is a token parameter and takes no modifier 'Patient'; it takes :missing, :not, :text, :in, :not-in, :above, :below"),
        ("ValueSet", "url:exact", "url is a uri parameter and takes no modifier 'exact'; it takes :missing, :above, :below"),
    ],
)  # fmt: skip
def test_modifiers_that_are_not_allowed(
    searcher: Searcher, resource_type: str, name: str, message: str, lenient: bool
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        searcher.parse(resource_type, (name, "x"), lenient=lenient)
    (issue,) = caught.value.issues
    assert (issue.diagnostics, issue.code) == (message, "not-supported")
    assert issue.expression == (name.partition(":")[0],)


@pytest.mark.parametrize("lenient", [True, False])
@pytest.mark.parametrize(
    ("resource_type", "name"),
    [
        ("Patient", "_query"),
    ],
)
def test_what_does_not_exist_here_is_never_ignored(
    searcher: Searcher, resource_type: str, name: str, lenient: bool
) -> None:
    with pytest.raises(InvalidRequest, match="not supported") as caught:
        searcher.parse(resource_type, (name, "x"), lenient=lenient)
    assert caught.value.issues[0].expression == (name,)


@pytest.mark.parametrize("lenient", [True, False])
@pytest.mark.parametrize("name", ["fam\x00ily", "\x00", "_sort\x00", "\x00subject.family"])
def test_no_null_character_in_a_name(searcher: Searcher, name: str, lenient: bool) -> None:
    with pytest.raises(InvalidRequest, match=r"U\+0000 is not allowed") as caught:
        searcher.parse("Patient", (name, "a"), lenient=lenient)
    assert "\x00" not in str(caught.value.issues)


@pytest.mark.parametrize("lenient", [True, False])
@pytest.mark.parametrize(
    ("resource_type", "name", "value", "message"),
    [
        ("Patient", "family", "a\x00", "family: the character U+0000 is not allowed"),
        ("Patient", "family:exact", "\x00", "family:exact: the character U+0000 is not allowed"),
        ("Observation", "subject:Patient.family", "\x00",
         "subject:Patient.family: the character U+0000 is not allowed"),
        ("Patient", "gender:missing", "yes", "gender:missing: 'yes' is not true or false"),
        ("Patient", "gender:missing", "true,false", "gender:missing: 'true,false' is not true or false"),
        ("Patient", "gender:missing", "TRUE", "gender:missing: 'TRUE' is not true or false"),
        ("Patient", "family", "a,,b", "family: one of the values is empty"),
        ("Patient", "family", ",", "family: one of the values is empty"),
        ("Patient", "family", "a,", "family: one of the values is empty"),
        ("Patient", "_id", "a b", "_id: 'a b' is not an id"),
        ("Patient", "_id", "Patient/1", "_id: 'Patient/1' is not an id"),
        ("Patient", "_id:not", "a,/", "_id:not: '/' is not an id"),
        ("Patient", "gender", "|", "gender: '|' is not code, system|code, |code or system|"),
        ("Patient", "link", "a b", "link: 'a b' is not an id, Type/id or a URL"),
        ("Patient", "birthdate", "1980-13",
         "birthdate: '1980-13' is not a date or time (YYYY, YYYY-MM, YYYY-MM-DD, …),"
         " with or without one of the prefixes of R4"),
        ("Patient", "birthdate", "2013-01-14T10:00:00 01:00",
         "birthdate: '2013-01-14T10:00:00 01:00' is not a date or time (YYYY, YYYY-MM, YYYY-MM-DD, …),"
         " with or without one of the prefixes of R4; in a URL the + of a time zone is %2B"),
        ("Observation", "code-value-quantity", "a$x",
         "code-value-quantity: value-quantity: 'x' is not a number, with or without one of the prefixes of R4"),
        ("Observation", "value-quantity", "5|mg",
         "value-quantity: '5|mg' is not number, number|system|code or number||code"),
        ("Observation", "value-quantity", "x||mg",
         "value-quantity: 'x' is not a number, with or without one of the prefixes of R4"),
        ("Patient", "gender", "x|y|" + "z" * 1000,
         f"gender: 'x|y|{'z' * 96}' is not code, system|code, |code or system|"),
    ],
)  # fmt: skip
def test_bad_values_name_the_parameter(
    searcher: Searcher, resource_type: str, name: str, value: str, message: str, lenient: bool
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        searcher.parse(resource_type, (name, value), lenient=lenient)
    (issue,) = caught.value.issues
    assert (issue.severity, issue.code, issue.diagnostics) == ("error", "value", message)
    assert issue.expression == (name.partition(":")[0],)


def test_number_of_values_is_bounded(searcher: Searcher) -> None:
    tree = searcher.parse("Patient", ("identifier", ",".join(f"s|{number}" for number in range(2000)))).tree
    assert isinstance(tree, KeyMatch)
    assert len(tree.keys) == 2000
    with pytest.raises(InvalidRequest, match=r"^identifier has 2001 values; 2000 are allowed$") as caught:
        searcher.parse("Patient", ("identifier", ",".join(map(str, range(2001)))))
    assert caught.value.issues[0].code == "too-costly"


@pytest.mark.parametrize(
    ("resource_type", "params"),
    [
        ("", [("_tag", f"t{number}") for number in range(999)]),  # for each of 146 types
        ("", [("_tag", ",".join(map(str, range(2000))))]),
        ("", [("_filter", " or ".join(f"_tag eq {number}" for number in range(499)))]),
        ("Provenance", [("target._tag", ",".join(map(str, range(2000))))]),  # any type
    ],
)
def test_the_work_of_reading_is_bounded(searcher: Searcher, resource_type: str, params: list[tuple[str, str]]) -> None:
    with pytest.raises(TooMuch, match="too many values") as caught:
        searcher.parse(resource_type, *params)
    assert (caught.value.status, caught.value.issues[0].code) == (400, "too-costly")
    assert caught.value.issues[0].expression


@pytest.mark.parametrize(
    ("name", "values"), [("_id", 2000), ("_lastUpdated", 2000), ("_tag", 500), ("_has:Observation:patient:code", 500)]
)
def test_long_lists_of_values_are_read_for_all_types(searcher: Searcher, name: str, values: int) -> None:
    listed = ",".join(str(2000 + number % 1000) for number in range(values))
    assert not searcher.parse("", (name, listed)).is_everything


def test_equal_values_are_one(searcher: Searcher) -> None:
    tree = searcher.parse("Patient", ("gender", "male,MALE,male")).tree
    assert isinstance(tree, KeyMatch)
    assert len(tree.keys) == 1


@pytest.mark.parametrize(
    ("resource_type", "query", "selective"),
    [
        ("Patient", ("identifier", "a,b"), True),
        ("Observation", ("subject", "Patient/1"), True),
        ("Observation", ("subject:identifier", "x"), True),
        ("Patient", ("gender", "male"), False),
        ("ValueSet", ("url", "http://x"), False),
    ],
)
def test_selective(searcher: Searcher, resource_type: str, query: tuple[str, str], selective: bool) -> None:
    tree = searcher.parse(resource_type, query).tree
    assert isinstance(tree, KeyMatch)
    assert tree.selective is selective


def test_an_id_of_no_type_is_nothing(searcher: Searcher) -> None:
    assert disjunction([]) == NOTHING
    tree = searcher.parse("RequestGroup", ("instantiates-canonical", "x")).tree  # R4 names no types of its targets
    assert isinstance(tree, KeyMatch)
    assert tree.keys == ()


def test_id_and_column_parameters(searcher: Searcher) -> None:
    patient = {"resourceType": "Patient", "id": "a-1.B"}
    assert searcher.matches(patient, "_id=x,a-1.B")
    assert not searcher.matches(patient, "_id=a-1.b"), "ids have case"
    assert searcher.matches(patient, "_id:not=x")
    assert not searcher.matches(patient, "_id:not=x,a-1.B")
    assert not searcher.matches(patient, "_id=a-1.B&_id=x")
