"""What invariants cost: `python -m bench.fhirpath [hl7.fhir.r4.examples-4.0.1.tgz]`. Prints Markdown.

All invariants of severity error on a resource and all elements inside it, each compiled once, but ele-1 and ext-1,
which the structure validator checks on its way; the walk to the elements is not counted.
"""

import sys
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from timeit import repeat
from typing import Any

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.fhirpath import Compiled, Environment, compile_expression
from fhirserver.fhir.resource_json import parse

_PACKAGE = Path(__file__).resolve().parents[3] / "shared" / "fhir-r4" / "hl7.fhir.r4.examples-4.0.1.tgz"
_FILES = ("Observation-f001", "Observation-blood-pressure", "Patient-example", "Encounter-f201", "Claim-100150")
_ELSEWHERE = {"ele-1", "ext-1"}
_TIMES = 200
_EXPRESSIONS = (
    ("Observation", "status = 'final'"),
    ("Observation", "value.empty() or component.code.where(coding.intersect(%resource.code.coding).exists()).empty()"),
    ("Observation", "value > 5 'mmol/L'"),
    ("Observation", "code.coding.where(system = 'http://loinc.org').code"),
    ("Observation", "descendants().count()"),
    ("Observation", "issued.lowBoundary() < @2014"),
    ("Observation", "code.coding.code.matches('^[0-9]+-[0-9]$')"),
)


def _elements(node: dict[str, Any], type_name: str, definitions: Definitions) -> Iterator[tuple[Any, str]]:
    yield node, type_name
    for key, known in definitions.type(type_name).properties.items():
        found = node.get(key)
        for value in found if isinstance(found, list) else [found]:
            if isinstance(value, dict):
                inside = value["resourceType"] if known.type_code == "Resource" else known.type_code
                yield from _elements(value, inside, definitions)


def _invariants(type_name: str, definitions: Definitions) -> list[Compiled]:
    return [
        compile_expression(constraint.expression, type_name, definitions)
        for constraint in definitions.type(type_name).constraints
        if constraint.severity == "error" and constraint.expression and constraint.key not in _ELSEWHERE
    ]


def _microseconds(action: Any) -> float:
    return min(repeat(action, number=_TIMES, repeat=7)) / _TIMES * 1e6


def main() -> None:
    """Print the figures."""
    definitions = Definitions.load()
    package = Path(sys.argv[1]) if len(sys.argv) > 1 else _PACKAGE
    with tarfile.open(package) as archive:
        files = {name: archive.extractfile(f"package/{name}.json") for name in _FILES}
        resources = {name: parse(file.read()) for name, file in files.items() if file is not None}
    print("| resource | elements | invariants | µs for all of them |\n|---|--:|--:|--:|")
    for name, resource in resources.items():
        elements = list(_elements(resource, resource["resourceType"], definitions))
        tests = [(node, one) for node, type_name in elements for one in _invariants(type_name, definitions)]
        env = Environment(resource=resource, html_checks=lambda text: True)

        def check(tests: list[tuple[Any, Compiled]] = tests, env: Environment = env) -> None:
            for node, compiled in tests:
                compiled.test(node, env)

        print(f"| {name} | {len(elements)} | {len(tests)} | {_microseconds(check):.1f} |")
    print("\n| expression on Observation-f001 | µs to compile | µs to evaluate |\n|---|--:|--:|")
    observation, env = resources["Observation-f001"], Environment(now=datetime.now(UTC))
    for type_name, text in _EXPRESSIONS:
        compiled = compile_expression(text, type_name, definitions)
        made = _microseconds(lambda text=text, name=type_name: compile_expression(text, name, definitions))
        evaluated = _microseconds(lambda compiled=compiled: compiled.evaluate(observation, env))
        print(f"| `{text}` | {made:.0f} | {evaluated:.1f} |")


if __name__ == "__main__":
    main()
