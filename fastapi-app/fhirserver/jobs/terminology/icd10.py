"""ICD-10: the order files of ICD-10-CM and ICD-10-PCS (CMS), and ClaML (WHO, BfArM).

https://www.cms.gov/medicare/coding-billing/icd-10-codes and https://hl7.org/fhir/R4/icd.html
"""

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from fhirserver.fhir.terminology.concepts import Concept, Json
from fhirserver.jobs.terminology.release import CodeSystemRelease, Options, Release, ReleaseError

ORDER = r"icd10(cm|pcs)[_-]order[_-]?(\d{4}).*\.txt"
CLAML = r".*\.xml"
_LINE = re.compile(r"\d{5} (\S{3,7}) +([01]) (.{60}) (.+?)\s*").fullmatch
_SYSTEMS = {
    "cm": ("http://hl7.org/fhir/sid/icd-10-cm", "ICD-10-CM"),
    "pcs": ("http://www.cms.gov/Medicare/Coding/ICD10", "ICD-10-PCS"),
}
_WHO = "http://hl7.org/fhir/sid/icd-10"
_NAMES = ("preferredLong", "preferred")


def is_order_file(release: Release) -> bool:
    """Whether this has an order file of CMS."""
    return bool(release.find(ORDER))


def is_claml(release: Release) -> bool:
    """Whether this has a ClaML file."""
    return _claml_file(release) is not None


def read_order_file(release: Release, options: Options) -> CodeSystemRelease:
    """The codes of an order file. Each is below the longest other one that it begins with."""
    name = release.find(ORDER)[-1]
    match = re.fullmatch(ORDER, name.rpartition("/")[2])
    kind, year = (match[1], match[2]) if match is not None else ("cm", "")
    url, title = _SYSTEMS[kind]
    header = _header(options.system or url, options.version or year, title)
    return CodeSystemRelease(header, _order(release, name, dotted=kind == "cm"))


def _order(release: Release, name: str, *, dotted: bool) -> Iterator[Concept]:
    known: set[str] = set()
    with release.text(name) as text:
        for number, line in enumerate(text, 1):
            match = _LINE(line)
            if match is None:
                if line.strip():
                    raise ReleaseError(f"{name}, line {number}: not a line of an order file")
                continue
            code, billable, short, long = match.groups()
            known.add(code)
            parent = next((code[:end] for end in range(len(code) - 1, 2, -1) if code[:end] in known), None)
            yield Concept(
                _dotted(code, dotted),
                long,
                designations=[] if short.strip() == long else [{"language": "en", "value": short.strip()}],
                properties=[{"code": "billable", "valueBoolean": billable == "1"}],
                parents=[] if parent is None else [_dotted(parent, dotted)],
            )


def _dotted(code: str, dotted: bool) -> str:
    return f"{code[:3]}.{code[3:]}" if dotted and len(code) > 3 else code


def read_claml(release: Release, options: Options) -> CodeSystemRelease:
    """The classes of a ClaML file, with those that modifiers make of them."""
    name = _claml_file(release) or ""
    with release.text(name) as text:
        try:
            # The file is the operator's own; expat reads no external entities, and bounds the others.
            root = ElementTree.parse(text).getroot()  # noqa: S314  # nosec B314
        except ElementTree.ParseError as error:
            raise ReleaseError(f"{name}: {error}") from error
    title = root.find("Title")
    said = title.attrib if title is not None else {}
    header = _header(options.system or _WHO, options.version or said.get("version", ""), said.get("name", "ICD-10"))
    if not header["version"]:
        raise ReleaseError(f"{name} does not say its version: say it")
    language = next((label.get(_LANGUAGE) for label in root.iter("Label") if label.get(_LANGUAGE)), None)
    if language:
        header["language"] = language
    return CodeSystemRelease(header, _classes(root))


_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


def _claml_file(release: Release) -> str | None:
    for name in release.find(CLAML):
        with release.text(name) as text:
            if "<ClaML" in text.read(4096):
                return name
    return None


def _classes(root: ElementTree.Element) -> Iterator[Concept]:
    modifiers: dict[str, list[tuple[str, str]]] = {}
    for item in root.iter("ModifierClass"):
        own = _rubric(item, _NAMES) or ""
        modifiers.setdefault(item.get("modifier", ""), []).append((item.get("code", ""), own))
    classes = {item.get("code", ""): item for item in root.iter("Class")}
    for code, item in classes.items():
        display = _rubric(item, _NAMES)
        kind: Json = {"code": "kind", "valueCode": item.get("kind", "category")}
        inclusions = [{"code": "inclusion", "valueString": text} for text in _rubrics(item, "inclusion")]
        above = [found.get("code", "") for found in item.findall("SuperClass")]
        yield Concept(code, display, _rubric(item, ("definition",)), properties=[kind, *inclusions], parents=above)
        for modified in item.findall("ModifiedBy"):
            if modified.get("all") == "false":
                valid = {found.get("code") for found in modified.findall("ValidModifierClass")}
            else:
                valid = None
            for suffix, text in modifiers.get(modified.get("code", ""), ()):
                made = code + suffix
                if made not in classes and (valid is None or suffix in valid):
                    yield Concept(made, f"{display}: {text}", properties=[kind], parents=[code])


def _rubric(item: ElementTree.Element, kinds: tuple[str, ...]) -> str | None:
    return next((text for kind in kinds for text in _rubrics(item, kind)), None)


def _rubrics(item: ElementTree.Element, kind: str) -> Iterator[str]:
    for rubric in item.findall("Rubric"):
        if rubric.get("kind") == kind:
            for label in rubric.findall("Label"):
                yield " ".join("".join(label.itertext()).split())


def _header(url: str, version: str, title: str) -> Json:
    return {
        "resourceType": "CodeSystem",
        "url": url,
        "version": version,
        "name": re.sub(r"\W+", "_", title),
        "title": title,
        "status": "active",
        "caseSensitive": True,
        "hierarchyMeaning": "classified-with",
        "content": "not-present",
    }
