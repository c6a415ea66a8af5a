"""What validation costs: `python -m bench.validation [--examples TGZ] [--synthea DIR] [--us-core TAR]`.

Prints Markdown. Beside it, where it is installed (`pip install fhir.resources`), `model_validate` of fhir.resources
(R4B) on the same resources: those that both take. And the memory of a process that has validated and indexed all
examples of R4, so that all definitions are in use, and those of US Core. To have both in one run, this environment
needs that package; the server does not.
"""

import argparse
import gzip
import json
import multiprocessing
import tarfile
from collections.abc import Callable, Iterator
from datetime import UTC
from functools import partial
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.profiles.built_in import BuiltInStructures
from fhirserver.fhir.profiles.structures import Structures, pack
from fhirserver.fhir.resource_json import parse
from fhirserver.fhir.terminology import BuiltIn
from fhirserver.fhir.validation.report import Context
from fhirserver.fhir.validation.validator import Level, Validator
from fhirserver.search.extract import Extractor

_SHARED = Path(__file__).resolve().parents[3] / "shared"
_EXAMPLES = _SHARED / "fhir-r4" / "hl7.fhir.r4.examples-4.0.1.tgz"
_SYNTHEA = _SHARED / "synthea" / "dev" / "fhir-data-pipes-synthea-hiv-2021"
_US_CORE = _SHARED / "packages" / "us-core-610.tar.xz"
_TYPES = ("Observation", "Patient", "Encounter", "Claim")
_MOST = 300  # resources of a type
_ROUNDS = 5
_LEVELS: tuple[Level, ...] = ("structure", "strict", "full")
_CONTEXT = Context(conditional=True)
_OF_US_CORE = ("Observation", "Patient", "Condition", "Encounter", "MedicationRequest", "DiagnosticReport")
_PROFILES_HEAD = """
| US Core's examples | resources | R4 alone µs | with profiles µs | first use of each profile ms |
|---|--:|--:|--:|--:|"""
_HEAD = """| from | type | resources | structure µs | strict µs | full µs | fhir.resources µs | structure | strict |
|---|---|--:|--:|--:|--:|--:|--:|--:|"""

Texts = dict[str, list[bytes]]


def _examples(package: Path) -> Iterator[bytes]:
    with tarfile.open(package) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".json") else None
            if file is not None and "/Bundle-" not in member.name:
                yield file.read()


def _synthea(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.glob("*.json.gz")):
        bundle = parse(gzip.decompress(path.read_bytes()))
        for entry in bundle["entry"]:
            yield json.dumps(entry["resource"], default=float).encode()


def _by_type(texts: Iterator[bytes]) -> Texts:
    found: Texts = {name: [] for name in _TYPES}
    for text in texts:
        resource_type = json.loads(text).get("resourceType")
        if resource_type in found and len(found[resource_type]) < _MOST:
            found[resource_type].append(text)
        if all(len(listed) == _MOST for listed in found.values()):
            break
    return found


def _models() -> dict[str, Callable[[Any], Any]]:
    """`model_validate` of fhir.resources by type; empty if it is not installed."""
    try:
        modules = {name: import_module(f"fhir.resources.R4B.{name.lower()}") for name in _TYPES}
    except ImportError:
        return {}
    return {name: getattr(module, name).model_validate for name, module in modules.items()}


def _accepts(validate: Callable[[Any], Any], resource: Any) -> bool:
    try:
        validate(resource)
    except ValueError:
        return False
    return True


def _microseconds(action: Callable[[Any], Any], resources: list[Any]) -> float:
    """The median over the resources, each taken at its fastest."""
    fastest = [float("inf")] * len(resources)
    for _ in range(_ROUNDS):
        for number, resource in enumerate(resources):
            start = perf_counter()
            action(resource)
            fastest[number] = min(fastest[number], perf_counter() - start)
    return median(fastest) * 1e6


def _print_rows(source: str, texts: Texts, validator: Validator) -> None:
    models = _models()
    for name in _TYPES:
        taken = [(parse(text), json.loads(text)) for text in texts[name]]
        taken = [pair for pair in taken if not validator.validate(pair[0], name, context=_CONTEXT)]
        if name in models:
            taken = [pair for pair in taken if _accepts(models[name], pair[1])]
        ours = [resource for resource, _ in taken]
        times = {
            level: _microseconds(partial(validator.validate, level=level, context=_CONTEXT), ours) for level in _LEVELS
        }
        cells = [f"{times[level]:.0f}" for level in _LEVELS]
        if name in models:
            theirs = _microseconds(models[name], [plain for _, plain in taken])
            cells += [f"{theirs:.0f}", *(f"{times[level] / theirs:.2f}" for level in ("structure", "strict"))]
        else:
            cells += ["not installed", "", ""]
        print(f"| {source} | {name} | {len(ours)} | {' | '.join(cells)} |")


def _with_profiles(validator: Validator, package: Path) -> tuple[Validator, list[dict[str, Any]]]:
    """A validator that knows the profiles of a package, and the examples of that."""
    packed, examples = [], []
    with tarfile.open(package) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".json") else None
            if file is not None and "/StructureDefinition-" in member.name and "/xml/" not in member.name:
                found = pack(file.read())
                packed += [found] if found is not None else []
            elif file is not None and "/example/" in member.name:
                examples.append(parse(file.read()))
    structures = Structures(BuiltInStructures.load(), packed)
    return validator.with_structures(structures.structure), [item for item in examples if "resourceType" in item]


def _print_profiles(validator: Validator, package: Path) -> None:
    own, examples = _with_profiles(validator, package)
    print(_PROFILES_HEAD)
    for name in _OF_US_CORE:
        taken = [item for item in examples if item["resourceType"] == name and not validator.validate(item)]
        profiles = {url for item in taken for url in item.get("meta", {}).get("profile", ())}
        start = perf_counter()
        for item in taken:
            own.validate(item)
        first = (perf_counter() - start) / max(len(profiles), 1) * 1e3
        alone, both = (_microseconds(each.validate, taken) for each in (validator, own))
        print(f"| {name} | {len(taken)} | {alone:.0f} | {both:.0f} | {first:.0f} |")


def _print_memory(package: Path, us_core: Path) -> None:
    """Of this process, once every definition is in use."""
    definitions = Definitions.load()
    validator, extractor = Validator(definitions, BuiltIn.load()), Extractor(definitions, UTC)
    empty = _resident()
    validator, examples = _with_profiles(validator, us_core)
    for resource in examples:
        for level in _LEVELS:
            validator.validate(resource, level=level)
    for text in _examples(package):
        resource = parse(text)
        issues = [validator.validate(resource, level=level) for level in _LEVELS]
        if not any(issue.is_error for listed in issues for issue in listed):
            extractor.extract(resource, resource["resourceType"], "http://x")
    print(f"\nMemory of a process: {empty} MB at first, {_resident()} MB when all definitions are in use.")


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 // 1_000_000


def main() -> None:
    """Print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--examples", type=Path, default=_EXAMPLES)
    arguments.add_argument("--synthea", type=Path, default=_SYNTHEA)
    arguments.add_argument("--us-core", type=Path, default=_US_CORE)
    given = arguments.parse_args()
    validator = Validator(Definitions.load())
    print(_HEAD, flush=True)
    _print_rows("R4's examples", _by_type(_examples(given.examples)), validator)
    _print_rows("Synthea", _by_type(_synthea(given.synthea)), validator)
    _print_profiles(validator, given.us_core)
    process = multiprocessing.get_context("spawn").Process(target=_print_memory, args=(given.examples, given.us_core))
    process.start()
    process.join()


if __name__ == "__main__":
    main()
