"""Examples of published packages are broken in what only their profiles say: that is noticed, and the place is named.

One place for each way in each example of three packages, the same ones every time; `--all-mutations` breaks all of all
packages. `pytest -s` prints the figures.
"""

from collections import Counter
from collections.abc import Callable
from itertools import islice
from random import Random

import pytest

from fhirserver.fhir.resource_json import parse
from fhirserver.fhir.validation.validator import Validator

from .conftest import FILES
from .mutations import KINDS, Mutation, mutants
from .packages import Package

OTHERS = (
    "no slice",
    "a slice too many",
    "an extension's value",
    "an extension's part",
    "an extension's part twice",
    "an extension's place",
)


def test_what_is_broken_is_refused_at_its_place(
    request: pytest.FixtureRequest,
    validator: Validator,
    knowing: Callable[..., Validator],
    package: Callable[[str], Package],
) -> None:
    everywhere = request.config.getoption("--all-mutations")
    made, refused, placed = Counter[str](), Counter[str](), Counter[str]()
    missed: dict[str, list[str]] = {}
    for name in FILES if everywhere else ("US Core 6.1.0", "IPA 1.0.0", "IPS 2.0.0"):
        content = package(name)
        own = knowing(name)
        for file, data in content.examples.items():
            resource = parse(data)
            urls = [url.partition("|")[0] for url in resource.get("meta", {}).get("profile", ())]
            if resource.get("resourceType") in (None, "Bundle") or own.validate(resource):
                continue
            for url in urls:
                if url not in content.structures:
                    continue
                by_kind: dict[str, list[Mutation]] = {}
                for mutation in mutants(resource, content.structures[url], content.structures):
                    by_kind.setdefault(mutation.kind, []).append(mutation)
                for kind, found in by_kind.items():
                    Random(file).shuffle(found)
                    broken = (mutation.broken() for mutation in found)
                    # What R4 refuses by itself shows nothing.
                    fitting = ((mutant, place) for mutant, place in broken if not validator.validate(mutant))
                    for mutant, place in fitting if everywhere else islice(fitting, 1):
                        at = [issue.expression[0] for issue in own.validate(mutant) if issue.is_error]
                        made[kind] += 1
                        refused[kind] += bool(at)
                        is_placed = any(f"{found_at}.".startswith((f"{place}.", f"{place}[")) for found_at in at)
                        placed[kind] += is_placed
                        if not is_placed:
                            missed.setdefault(kind, []).append(f"{name} {file} {place}: {at[:3]}")
    for kind in (*KINDS, *OTHERS):
        print(
            f"{kind}: {made[kind]} made, {refused[kind]} refused, {placed[kind]} at the place; {missed.get(kind, [])[:6]}"
        )
    total = made.total()
    print(f"{total} made, {refused.total() / total:.2%} refused, {placed.total() / total:.2%} at the place")
    assert total > 500
    assert all(made[kind] for kind in (*KINDS, *OTHERS))
    assert refused.total() / total >= 0.99
    assert placed.total() / total >= 0.99
