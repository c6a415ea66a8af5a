"""The examples of published packages conform to the profiles that they claim.

Where they do not, the reason stands here. `pytest -s` prints the figures.
"""

from collections import Counter
from collections.abc import Callable

import pytest

from fhirserver.fhir.resource_json import parse
from fhirserver.fhir.validation.validator import Validator

from .packages import Package

OTHER_ID = "R4: fullUrl ends with another id than the resource has"
WRONG: dict[str, dict[str, tuple[str, str]]] = {
    "US Core 3.1.1": {
        "Bundle-66c8856b-ba11-4876-8aa8-467aad8c11a2.json": ("Bundle.entry[2].fullUrl", OTHER_ID),
        "Bundle-uscore-mo3.json": ("Bundle.entry[1].fullUrl", "R4: fullUrl is no absolute URL"),
        "DiagnosticReport-cardiology-report.json": ("DiagnosticReport.presentedForm[0].hash", "R4: no base64"),
        "Observation-satO2-fiO2.json": (
            "Observation.component[0].valueQuantity",
            "L/min is none of the units of R4's vital signs, which this profile has for all components",
        ),
    },
    "US Core 6.1.0": {
        "Bundle-66c8856b-ba11-4876-8aa8-467aad8c11a2.json": ("Bundle.entry[2].fullUrl", OTHER_ID),
        "Bundle-docref-example-2.json": ("Bundle.entry[2].fullUrl", OTHER_ID),
    },
}
# Profiles and extensions of packages that are not here.
UNKNOWN = ("http://hl7.org/fhir/uv/sdc/", "|5.3.0-ballot-tc1")


@pytest.mark.parametrize(
    ("name", "count", "claims"),
    [
        ("US Core 3.1.1", 84, 68),
        ("US Core 6.1.0", 183, 174),
        ("US Core 7.0.0", 214, 202),
        ("IPA 1.0.0", 15, 15),
        ("IPS 2.0.0", 44, 44),
    ],
)
def test_examples(
    knowing: Callable[..., Validator], package: Callable[[str], Package], name: str, count: int, claims: int
) -> None:
    content = package(name)
    own = knowing(name)
    found: dict[str, str] = {}
    claimed = Counter[str]()
    resources = [(file, parse(data)) for file, data in content.examples.items()]
    resources = [(file, resource) for file, resource in resources if "resourceType" in resource]
    for file, resource in resources:
        urls = (url.partition("|")[0] for url in resource.get("meta", {}).get("profile", ()))
        claimed.update(url for url in urls if url in content.structures)
        report = own.inspect(resource)
        errors = [issue for issue in report.issues if issue.is_error]
        if errors:
            found[file] = errors[0].expression[0]
        assert [issue for issue in report.issues if issue.code == "processing" and "Not all" in issue.diagnostics] == []
        assert [url for url, _ in report.unknown_profiles if not any(part in url for part in UNKNOWN)] == []
    print(f"{name}: {len(resources)} examples, {claimed.total()} claims of {len(claimed)} profiles, {len(found)} wrong")
    assert found == {file: place for file, (place, _) in WRONG.get(name, {}).items()}
    assert len(resources) == count
    assert claimed.total() == claims
