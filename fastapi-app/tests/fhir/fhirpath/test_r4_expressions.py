"""R4's own expressions: all invariants and search parameters compile, and HL7's examples keep the invariants."""

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fhirserver.fhir.definitions import Constraint, Definitions, Property
from fhirserver.fhir.fhirpath import Compiled, Environment, FhirPathError, Node, compile_expression, stub
from fhirserver.fhir.resource_json import parse

# What is wrong in R4 itself: (invariant, type).
NOT_COMPILED = {
    ("cid-0", "ChargeItemDefinition"): "it is about `name`, which the type does not have",
    ("ras-1", "decimal"): "an invariant of probability[x] that is about Range only",
}
# Invariants that examples break: how often, and why it is the example that is wrong, or the invariant.
BROKEN = {
    "dom-6": "a narrative is recommended: contained resources have none, and examples come without",
    "pdf-0": "names with blanks or hyphens",
    "tst-0": "names with blanks or hyphens",
    "que-7": "`answer is Boolean` names FHIRPath's type, the element has FHIR's boolean: never true",
}
# Empty where the element that the invariant is about is not there.
OPEN = {
    *("adf-0", "ees-0", "esc-0", "evd-0", "evi-0", "evv-0", "ig-0", "lib-0", "mea-0", "pdf-0", "que-0", "red-0"),
    *("rsd-0", "rvs-0", "bdl-8", "ras-2", "ref-1"),
}


def all_types(definitions: Definitions) -> Iterator[str]:
    for name in (*definitions.resource_types, *definitions.data_types):
        yield name
        yield from definitions.type(name).nested


def test_all_invariants_compile(definitions: Definitions) -> None:
    refused, count = set(), 0
    for type_name in all_types(definitions):
        definition = definitions.type(type_name)
        constraints = {(one.key, one.expression, type_name) for one in definition.constraints}
        for known in definition.properties.values():
            constraints |= {(one.key, one.expression, known.type_code) for one in known.element.constraints}
        for key, expression, context in constraints:
            assert expression is not None
            try:
                compile_expression(expression, context, definitions)
            except FhirPathError:
                refused.add((key, context))
            count += 1
    assert refused == NOT_COMPILED.keys()
    assert count > 3000


def test_all_search_parameters_compile_to_known_types(definitions: Definitions) -> None:
    unknown = {
        code
        for resource_type in definitions.resource_types
        for code, parameter in definitions.search_parameters(resource_type).items()
        if parameter.expression is not None
        and not compile_expression(parameter.expression, resource_type, definitions).types
    }
    # The resource in an entry of a bundle may be of any type.
    assert unknown == {"composition", "message"}


class Invariants:
    """All invariants of a resource, one by one: what a validator does, without its short cuts."""

    def __init__(self, definitions: Definitions):
        self.definitions = definitions
        self.answers: dict[tuple[str, bool | None], set[str]] = defaultdict(set)
        self._compiled: dict[tuple[str, str], Compiled | None] = {}

    def check(self, resource: Mapping[str, Any], root: Any, place: str) -> None:
        env = Environment(dict(resource), root, html_checks=lambda text: "<script" not in text, resolve=stub)
        self._check(resource, resource["resourceType"], env, place)

    def _check(self, node: Any, type_name: str, env: Environment, place: str) -> None:
        definition = self.definitions.type(type_name)
        self._test(definition.constraints, node, type_name, env, place)
        if type(node) is not dict:
            return
        for key, known in definition.properties.items():
            for value in items(node, key, known):
                own = self.definitions.type(known.type_code).constraints
                more = tuple(one for one in known.element.constraints if one not in own)
                self._test(more, value, known.type_code, env, f"{place}.{key}")
                if known.type_code == "Resource":
                    self.check(value, env.root_resource if key == "contained" else value, f"{place}.{key}")
                else:
                    self._check(value, known.type_code, env, f"{place}.{key}")

    def _test(
        self, constraints: tuple[Constraint, ...], node: Any, type_name: str, env: Environment, place: str
    ) -> None:
        for constraint in constraints:
            address = (type_name, constraint.expression or "")
            if address not in self._compiled:
                if (constraint.key, type_name) in NOT_COMPILED:
                    continue
                self._compiled[address] = compile_expression(address[1], type_name, self.definitions)
            compiled = self._compiled[address]
            assert compiled is not None
            answer = compiled.test(node, env)
            if answer is not True:
                self.answers[constraint.key, answer].add(place)


def items(node: dict[str, Any], key: str, known: Property) -> Iterator[Any]:
    values, partners = node.get(key), node.get("_" + key)
    if not known.element.is_list:
        values, partners = [values], [partners]
    values, partners = values or [], partners or []
    for place in range(max(len(values), len(partners))):
        value = values[place] if place < len(values) else None
        partner = partners[place] if place < len(partners) else None
        if partner is not None:
            yield Node(value, known.type_code, partner)
        elif value is not None:
            yield value


def test_the_examples_keep_the_invariants(definitions: Definitions, shared: Path, example_files: Path) -> None:
    invariants = Invariants(definitions)
    with (shared / "fhir-r4" / "examples-index.csv").open(newline="") as index:
        names = [row["file"] for row in csv.DictReader(index) if row["kind"] == "instance"]
    for name in names:
        resource = parse((example_files / name).read_bytes())
        invariants.check(resource, resource, name)
    assert {key for key, answer in invariants.answers if answer is False} == BROKEN.keys()
    assert {key for key, answer in invariants.answers if answer is None} == OPEN
    assert invariants.answers["que-7", False] == {"Questionnaire-bb.json.item.item.item.item.enableWhen"}
