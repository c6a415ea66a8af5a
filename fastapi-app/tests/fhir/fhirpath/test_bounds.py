"""Whatever the expression and the data: bounded time and memory, and an error that says where."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.fhirpath import Environment, FhirPathError, compile_expression
from fhirserver.fhir.fhirpath.patterns import compile_pattern

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "name": [{"given": [f"n{number}" for number in range(40)], "family": "a" * 40 + "!"} for _ in range(40)],
}


def refused(definitions: Definitions, expression: str, message: str, env: Environment | None = None) -> None:
    with pytest.raises(FhirPathError, match=message):
        compile_expression(expression, "Patient", definitions).evaluate(PATIENT, env)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("(" * 1000 + "1" + ")" * 1000, "nested more than 200 deep"),
        ("-" * 1000 + "1", "nested more than 200 deep"),
        (" and ".join(["true"] * 1000), "nested more than 200 deep"),  # each is nested in the next
        ("name" + ".first()" * 1000, "nested more than 200 deep"),
        ("name" + "[0]" * 1000, "nested more than 200 deep"),
        ("iif(true, " * 500 + "1" + ")" * 500, "nested more than 200 deep"),
        ("1 " * 20_000, "longer than 20000 characters"),
        ("name" + ".repeat($this" * 100 + ")" * 100, "too many parts"),  # three times inside three times …
        ("1.repeat($this + 1)", "more than 300000 steps"),
        ("name.given" + ".select(%resource.name.given" * 6 + ")" * 6, "more than 300000 steps"),
        ("name.given" + ".combine($this.name.given)" * 3 + ".select($this.combine($this))" * 20, "steps|longer"),
        ("'a'" + ".select($this & $this)" * 40, "longer than 1000000 characters"),
        ("'aaaaaaaaaa'" + ".replace('a', 'aaaaaaaaaa')" * 20, "longer than 1000000 characters"),
        ("'aaaaaaaaaa'" + ".replaceMatches('a', 'aaaaaaaaaa')" * 20, "longer than 1000000 characters"),
        ("'a'.matches('(((a{1000}){1000}){1000})')", "not a regular expression"),
        ("'a'.matches('" + "a" * 3000 + "')", "longer than 2000 characters"),
        ("'a'.matches('(')", r"not a regular expression: missing"),
        ("'a'.matches('(?=a)')", "not a regular expression"),  # RE2 has no look-ahead
        ("'ab'.replaceMatches('a', '$1')", "no group 1"),
    ],
)
def test_refused(definitions: Definitions, expression: str, message: str) -> None:
    refused(definitions, expression, message)


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("name.family.first().matches('(a+)+$')", [False]),  # exponential where expressions backtrack
        ("name.family.first().matches('(a|aa)+$')", [False]),
        ("10.power(1000000000)", []),  # beyond what a Decimal holds
        ("2.power(-1000000000)", [0]),
        ("1000.exp()", []),
        ("2147483647 + 1", []),  # beyond an Integer
        ("1" + "0" * 9 + " * 1000", []),
        ("1" + ".convertsToQuantity()" * 150, [True]),  # the source is evaluated once, not 2^150 times
        ("@9999-12-31 + 1 day", []),
        ("@2020-01-01 + 1000000000000000 years", []),
        ("1.0.round(1000000000)", [1]),
        ("'a'.substring(0, 2147483647)", ["a"]),
    ],
)
def test_done_at_once(definitions: Definitions, expression: str, values: list[Any]) -> None:
    assert compile_expression(expression, "Patient", definitions).evaluate(PATIENT) == values


def test_numbers_of_any_size(definitions: Definitions) -> None:
    observation = {"resourceType": "Observation", "valueQuantity": {"value": Decimal("1E+99999")}}
    for expression, values in (
        ("value.value.floor()", []),
        ("value.value + 1", []),
        ("value.value.toString().length() < 20", [True]),
        ("value.value mod 7", []),
        ("value > 1 '1'", [True]),
    ):
        compiled = compile_expression(f"Observation.{expression}", "Observation", definitions)
        assert compiled.evaluate(observation) == values, expression


def test_the_caller_can_end_an_evaluation(definitions: Definitions) -> None:
    asked = []

    def expired() -> bool:
        asked.append(True)
        return len(asked) == 3

    refused(definitions, "1.repeat($this + 1)", "takes too long", Environment(expired=expired))
    assert len(asked) == 3


def test_each_evaluation_has_all_its_steps(definitions: Definitions) -> None:
    env = Environment(max_steps=2000, now=datetime(2026, 1, 1, tzinfo=UTC))
    compiled = compile_expression("name.given.where($this = 'n1').count()", "Patient", definitions)
    assert [compiled.evaluate(PATIENT, env) for _ in range(3)] == [[40]] * 3


def test_patterns_are_kept() -> None:
    assert compile_pattern("a+") is compile_pattern("a+")


def test_what_is_the_same_for_all_items_is_evaluated_once(definitions: Definitions) -> None:
    asked = []

    def conforms_to(value: Any, url: str) -> bool:
        asked.append(url)
        return True

    compiled = compile_expression("name.all(%resource.name.first().conformsTo('http://a'))", "Patient", definitions)
    patient = {"resourceType": "Patient", "name": [{"family": f"A{number}"} for number in range(100)]}
    assert compiled.evaluate(patient, Environment(conforms_to=conforms_to)) == [True]
    assert asked == ["http://a"]
