"""Arguments of operations: from URLs, from Parameters, from a resource alone; and what is refused."""

from decimal import Decimal

import pytest

from fhirserver.fhir.definitions.operations import OperationDefinition, OperationParameter
from fhirserver.fhir.outcomes import InvalidRequest, InvalidResource
from fhirserver.operations.invocation import Arguments, arguments_of

OPERATION = OperationDefinition(
    code="try",
    url="http://example.org/try",
    title="Try",
    description="",
    system=True,
    type=True,
    instance=True,
    resource_types=("Resource",),
    parameters=(
        OperationParameter("text", "string", max=2),
        OperationParameter("flag", "boolean"),
        OperationParameter("count", "integer"),
        OperationParameter("share", "decimal"),
        OperationParameter("coding", "Coding", max=None),
        OperationParameter("resource", "Resource"),
        OperationParameter("pair", None, max=None, parts=(OperationParameter("left", "code", min=1),)),
    ),
)


@pytest.fixture
def read(definitions, validator):
    def read(*query, body=None) -> Arguments:
        return arguments_of(OPERATION, query, body, definitions, validator)

    return read


def body(*items):
    return {"resourceType": "Parameters", "parameter": list(items)}


def test_values_in_a_url_become_what_they_are_declared_to_be(read):
    found = read(("text", "a"), ("text", "b"), ("flag", "true"), ("count", "-7"), ("share", "0.10"))
    assert (found.all("text"), found.flag("flag"), found.number("count")) == (["a", "b"], True, -7)
    assert (found.one("share"), found.one("coding"), "coding" in found) == (Decimal("0.10"), None, False)


def test_values_in_parameters(read):
    coding = {"system": "http://example.org", "code": "x"}
    found = read(
        ("text", "a"),
        body=body(
            {"name": "coding", "valueCoding": coding},
            {"name": "text", "valueUri": "b"},
            {"name": "pair", "part": [{"name": "left", "valueCode": "l"}]},
            {"name": "resource", "resource": {"resourceType": "Patient", "birthDate": "not checked here"}},
        ),
    )
    assert found.one("coding") == coding
    assert found.all("text") == ["a", "b"]
    assert found.one("pair").text("left") == "l"
    assert found.one("resource")["birthDate"] == "not checked here"


def test_a_resource_alone_is_the_parameter_that_takes_one(read):
    assert read(body={"resourceType": "Patient"}).one("resource") == {"resourceType": "Patient"}


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ([("other", "1")], "other"),  # no such parameter
        ([("flag", "yes")], "flag"),  # not true or false
        ([("count", "1.5")], "count"),  # not a whole number
        ([("count", "99999999999")], "count"),  # not an integer of FHIR
        ([("share", "x")], "share"),  # not a decimal
        ([("coding", "a|b")], "coding"),  # complex types don't stand in URLs
        ([("pair", "a")], "pair"),  # nor do parts
        ([("text", "a"), ("text", "b"), ("text", "c")], "text"),  # two at the most
        ([("flag", "true"), ("flag", "true")], "flag"),  # one at the most
    ],
)
def test_wrong_urls(read, query, place):
    with pytest.raises(InvalidRequest) as caught:
        read(*query)
    assert caught.value.issues[0].expression == (place,)


@pytest.mark.parametrize(
    ("item", "place"),
    [
        ({"name": "other", "valueString": "x"}, "other"),  # no such parameter
        ({"name": "flag", "valueString": "true"}, "Parameters.parameter[0]"),  # of another type
        ({"name": "count", "valueString": "1"}, "Parameters.parameter[0]"),  # a string is no number
        ({"name": "coding", "valueString": "x"}, "Parameters.parameter[0]"),  # nor is it a Coding
        ({"name": "text", "resource": {"resourceType": "Patient"}}, "Parameters.parameter[0]"),  # nor a resource a text
        ({"name": "pair", "part": [{"name": "right", "valueCode": "x"}]}, "right"),  # no such part
    ],
)
def test_wrong_parameters(read, item, place):
    with pytest.raises(InvalidRequest) as caught:
        read(body=body(item))
    assert caught.value.issues[0].expression == (place,)


@pytest.mark.parametrize(
    "wrong",
    [
        {"resourceType": "Parameters", "parameter": {"name": "text"}},
        {"resourceType": "Parameters", "parameter": [{"name": "pair"}]},
        {"resourceType": "Parameters", "parameter": [{"valueString": "without a name"}]},
        {"resourceType": "Parameters", "parameter": ["text"]},
        {"resourceType": "Parameters", "parameter": [{"name": "text", "valueString": 1}]},
        {"resourceType": "Parameters", "unknown": 1},
    ],
)
def test_parameters_that_are_not_valid(read, wrong):
    with pytest.raises(InvalidResource):
        read(body=wrong)
