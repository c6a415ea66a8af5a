"""Every example of R4 that is valid is broken in every known way: that is noticed, and the place is named.

One place for each way in each example, the same ones every time; `--all-mutations` breaks all of them, which takes
minutes. `pytest -s` prints the figures.
"""

import csv
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.resource_json import parse, serialize
from fhirserver.fhir.validation.validator import Validator

from .mutations import kinds, spots

LARGEST = 100_000  # bytes; there are five that are larger


def test_what_is_broken_is_refused_at_its_place(
    request: pytest.FixtureRequest, definitions: Definitions, shared: Path, example_files: Path
) -> None:
    validator, ways = Validator(definitions), kinds(definitions)
    everywhere = request.config.getoption("--all-mutations")
    with (shared / "fhir-r4" / "examples-index.csv").open(newline="") as index:
        files = [row["file"] for row in csv.DictReader(index) if row["kind"] == "instance"]
    made, refused, placed = Counter[str](), Counter[str](), Counter[str]()
    missed: dict[str, str] = {}
    for name in files:
        data = (example_files / name).read_bytes()
        if len(data) > LARGEST:
            continue
        resource = parse(data)
        if validator.validate(resource):
            continue  # HL7's own mistakes: tests/fhir/test_examples.py
        random = Random(name)
        all_spots = list(spots(resource, definitions))
        for way in ways:
            fitting = [spot for spot in all_spots if way.fits(spot)]
            for spot in fitting if everywhere else random.sample(fitting, min(1, len(fitting))):
                undo = way.break_it(spot)
                place = way.place(spot)
                issues = [issue for issue in validator.validate(resource) if issue.is_error]
                undo()
                made[way.name] += 1
                refused[way.name] += bool(issues)
                is_placed = any(f"{issue.expression[0]}.".startswith((f"{place}.", f"{place}[")) for issue in issues)
                placed[way.name] += is_placed
                if not is_placed:
                    missed.setdefault(way.name, f"{name} {place}: {[issue.expression[0] for issue in issues][:3]}")
        assert serialize(resource) == serialize(parse(data)), name
    for way in ways:
        print(f"{way.name}: {made[way.name]} made, {refused[way.name]} refused, {placed[way.name]} at the place;",
              missed.get(way.name, ""))  # fmt: skip
    total = made.total()
    print(f"{total} made, {refused.total() / total:.2%} refused, {placed.total() / total:.2%} at the place")
    assert total > 10_000
    assert all(made[way.name] for way in ways)
    assert refused.total() / total >= 0.99
    assert placed.total() / total >= 0.99
