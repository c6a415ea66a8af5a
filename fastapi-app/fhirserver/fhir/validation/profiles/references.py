"""What the References in an element of a profile lead to: the profiles of their targets, and how they get there.

https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.type.targetProfile
"""

from fhirserver.fhir.datatypes.references import parse_reference
from fhirserver.fhir.profiles.element_tree import Json
from fhirserver.fhir.validation.profiles.facets import ANYTHING, Base, dicts, listed
from fhirserver.fhir.validation.profiles.items import Item
from fhirserver.fhir.validation.profiles.run import ItemCheck, Run
from fhirserver.fhir.validation.report import shown

STRUCTURES = "http://hl7.org/fhir/StructureDefinition/"


def references(element: Json, base: Base, where: str) -> ItemCheck | None:
    """What the References in an element have to lead to, and whether that may be, or has to be, contained."""
    urls, modes = target_profiles(element), _aggregation(element)
    if urls == target_profiles(base.like) or {url.partition("|")[0] for url in urls} == _given(base):
        urls = ()
    if modes == _aggregation(base.like):
        modes = None
    if not urls and modes is None:
        return None

    def check(item: Item, run: Run) -> None:
        if item.type_code != "Reference" or type(item.value) is not dict:
            return
        text, at = item.value.get("reference"), (item.place, "reference", None)
        if type(text) is not str:
            text = ""
        target = run.target(text)
        if modes is not None and text:
            found = "contained" if text[0] == "#" else "bundled" if target is not None else "referenced"
            if found not in modes and not (found == "bundled" and "referenced" in modes):
                problem = f"The target of {item.place[1]} must be {' or '.join(sorted(modes))}, not {found}"
                run.report.add("value", f"{problem} ({where})", at)
        if not urls:
            return
        if target is None:
            type_code = _type_of(item.value, text)
            if type_code is not None and not any(may_be(type_code, url, run) for url in urls):
                run.report.add("value", f"{item.place[1]} must not lead to a {type_code} ({where})", at)
            return
        to = Item(target, run.type_of(target), at)
        problem_there = first_problem(to, urls, run)
        if problem_there is not None:
            words = f"What {item.place[1]} leads to does not conform to {_names(urls)}: {problem_there}"
            run.report.add("structure", f"{words} ({where})", at)

    return check


def first_problem(item: Item, urls: tuple[str, ...], run: Run) -> str | None:
    """What keeps a resource from conforming to any of these profiles; None if it conforms to one.

    Of an item without a value nothing but the type is known.
    """
    problems = []
    for url in urls:
        if not may_be(item.type_code, url, run):
            continue
        is_plain = item.value is None or url.partition("|")[0] == STRUCTURES + item.type_code
        problem = None if is_plain else run.problem(item, url)
        if problem is None:
            return None
        problems.append(problem)
    return problems[0] if problems else f"it is a {item.type_code}"


def target_profiles(element: Json) -> tuple[str, ...]:
    """The profiles, or types, of what the References in an element lead to."""
    return tuple(
        url
        for kind in dicts(element.get("type"))
        if kind.get("code") == "Reference"
        for url in listed(kind.get("targetProfile"))
        if type(url) is str
    )


def _given(base: Base) -> set[str]:
    """The targets in R4."""
    kinds = base.element.types if base.element is not None else ()
    return {STRUCTURES + target for kind in kinds if kind.code == "Reference" for target in kind.target_types}


def _aggregation(element: Json) -> frozenset[str] | None:
    """The modes that are allowed; None if all are."""
    modes: set[str] = set()
    for kind in dicts(element.get("type")):
        if kind.get("code") == "Reference":
            own = [str(mode) for mode in listed(kind.get("aggregation"))]
            if not own:
                return None
            modes.update(own)
    return frozenset(modes) if modes else None


def _type_of(reference: Json, text: str) -> str | None:
    target = parse_reference(text) if text else None
    if target is not None and target.resource_type is not None:
        return target.resource_type
    declared = reference.get("type")
    return declared.removeprefix(STRUCTURES) if type(declared) is str else None


def may_be(type_code: str, url: str, run: Run) -> bool:
    """Whether a resource of a type may conform to a profile, as far as is known."""
    expected = run.type_of_profile(url)
    if expected is None and url.startswith(STRUCTURES):
        expected = url.partition("|")[0].removeprefix(STRUCTURES)
    return expected is None or expected == type_code or expected in ANYTHING


def _names(urls: tuple[str, ...]) -> str:
    return shown(" or ".join(url.rpartition("/")[2] for url in urls))
