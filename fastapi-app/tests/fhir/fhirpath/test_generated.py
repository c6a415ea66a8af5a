"""Generated expressions: only FhirPathError is ever raised, and types known beforehand change no result."""

from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.fhirpath import Environment, FhirPathError, compile_expression, stub
from tests.fhir.fhirpath.test_elements import BUNDLE, OBSERVATION, PATIENT

LITERALS = (
    "1",
    "2.50",
    "'a'",
    "'2020-05'",
    "true",
    "{}",
    "@2020-05",
    "@T10:00",
    "@2020-05-01T10:00Z",
    "2 'mg'",
    "3 days",
)
PATHS = (
    "$this", "id", "name", "name.given", "birthDate", "deceased", "gender", "contact", "contained", "value", "component",
    "component.value", "status", "entry.resource", "extension", "multipleBirth", "active", "referenceRange.low",
    "%resource", "%context.id", "$index", "generalPractitioner", "Patient", "Observation.value",
)  # fmt: skip
CALLS = (
    "empty()", "exists()", "count()", "not()", "distinct()", "isDistinct()", "first()", "last()", "tail()", "single()",
    "children()", "descendants()", "hasValue()", "getValue()", "resolve()", "type()", "type().name", "toString()",
    "toInteger()", "toDecimal()", "toQuantity()", "toDate()", "toDateTime()", "convertsToBoolean()", "length()",
    "upper()", "abs()", "round()", "lowBoundary()", "highBoundary()", "precision()", "allTrue()", "sort()", "family",
    "value", "code", "extension", "id", "start", "[0]", "[1]", "ofType(string)", "ofType(Quantity)", "as(code)",
    "is(string)", "is(Patient)", "join(',')", "now()", "system", "toChars()",
)  # fmt: skip
WITH_ARGUMENT = (
    "where", "select", "exists", "all", "repeat", "aggregate", "union", "combine", "intersect", "exclude", "subsetOf",
    "supersetOf", "skip", "take", "contains", "startsWith", "indexOf", "matches", "substring", "power", "log", "split",
    "extension", "sort", "trace", "comparable", "memberOf",
)  # fmt: skip
OPERATORS = (
    "=", "!=", "~", "!~", "<", "<=", ">", ">=", "and", "or", "xor", "implies", "|", "+", "-", "*", "/", "div", "mod",
    "&", "in", "contains",
)  # fmt: skip


def extended(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds(lambda a, call: f"({a}){'' if call[0] == '[' else '.'}{call}", inner, st.sampled_from(CALLS)),
        st.builds(lambda a, name, b: f"({a}).{name}({b})", inner, st.sampled_from(WITH_ARGUMENT), inner),
        st.builds(lambda a, operator, b: f"({a}) {operator} ({b})", inner, st.sampled_from(OPERATORS), inner),
        st.builds(lambda a, b, c: f"iif({a}, {b}, {c})", inner, inner, inner),
        st.builds(lambda a: f"-({a})", inner),
        st.builds(lambda a, name: f"({a}) is {name}", inner, st.sampled_from(("string", "Quantity", "System.Integer"))),
    )


EXPRESSIONS = st.recursive(st.sampled_from(LITERALS + PATHS), extended, max_leaves=6)


def outcome(expression: str, type_name: str | None, node: dict[str, Any], definitions: Definitions) -> Any:
    env = Environment(now=datetime(2026, 1, 2, tzinfo=UTC), resolve=stub, max_steps=20_000)
    try:
        compiled = compile_expression(expression, type_name, definitions)
    except FhirPathError:
        return "not compiled"
    try:
        typed = compiled.typed(node, env)
        assert compiled.types is None or {name for name, _ in typed} <= set(compiled.types)
        assert len(compiled.evaluate(node, env)) >= len(typed)
        return sorted((name, str(value)) for name, value in typed)
    except FhirPathError:
        return "error"


@given(EXPRESSIONS, st.sampled_from([PATIENT, OBSERVATION, BUNDLE]))
@settings(max_examples=300)
def test_known_types_change_no_result(definitions: Definitions, expression: str, node: dict[str, Any]) -> None:
    known = outcome(expression, node["resourceType"], node, definitions)
    found = outcome(expression, None, node, definitions)
    # What is known to be empty is not evaluated, so an error in it does not show.
    assert known == found or not {"not compiled", "error"}.isdisjoint(map(str, (known, found)))
