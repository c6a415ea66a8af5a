"""HL7's own test cases of a validator, those of R4 in JSON: does `$validate` find errors where it should?

Where it does not agree, the reason stands here. `pytest -s` prints the figures.
"""

import json
from typing import Any

from fhirserver.fhir.outcomes import FhirError
from fhirserver.fhir.resource_json import parse
from fhirserver.operations.registry import invoke

PROFILE = "needs the definitions of extensions or profiles that are in a package"
CODES = "needs a code system that is no part of R4"
OPTION = "tests an option of HL7's validator"
# What can't be judged by R4 alone.
ELSEWHERE = {
    "target-ref-profile-empty": f"{PROFILE}: fkcfhir.org",
    "nested-questionnaire-nested-valueset": f"{PROFILE}: Structured Data Capture",
    "patient-with-turvakielto": f"{PROFILE}: Finland's",
    "obs-vs-1": f"{PROFILE}: CardX, and R4's profile on vital signs",
    "vs-params-2": f"{PROFILE}: HL7's tools",
    "vs-params-3": f"{PROFILE}: HL7's tools",
    "vs-params-4": f"{PROFILE}: HL7's tools",
    "cvx": f"{CODES}: CVX",
    "obs-temp-code2": f"{CODES}: SNOMED CT",
    "dr-example-org": f"{OPTION}: no URLs of example.org",
    "pat-security-bad-string": f"{OPTION}: no HTML in strings",
    "bad-markdown-no-html": f"{OPTION}: no HTML in Markdown",
    "parameters-reference-bad": f"{OPTION}: references have to resolve",
    "contained-resource-bad-id-ignore": f"{OPTION}: some issues are suppressed",
    "json-comments-1-yes": f"{OPTION}: comments in JSON",
}
DISAGREEMENTS = {
    "capstmt": "R4 does not say that a CapabilityStatement may not tell another type of a search parameter",
    "mr-covid-bnd1": "relative code systems are warnings here: R4 does not forbid them, and they are in use",
    "sp-diff-type": "R4 does not say in what a SearchParameter has to agree with the one it is derived from",
    "sp-diff-base": "the expression selects nothing, which is no error by FHIRPath; and as above",
    "encounter-period": "a day and a time on that day can't be compared, so per-1 can't be said to be broken",
    "cs-bad-props": "R4 does not say what the well-known properties of concepts are like",
}


async def test_agreement(server, call, shared):
    cases = json.loads((shared / "validator-cases" / "cases.json").read_text())
    agreed = {}
    for case in cases:
        found = await errors(server, call, (shared / "validator-cases" / "files" / case["file"]).read_bytes())
        name, expected = case["name"], case["expected"]
        agreed[name] = bool(found) == (expected == "error")
        reason = f"expected {expected}; {ELSEWHERE.get(name) or DISAGREEMENTS.get(name, 'why?')}"
        print(f"{name}: {'agreed' if agreed[name] else reason}")
    judged = [name for name in agreed if name not in ELSEWHERE]
    right = sum(agreed[name] for name in judged)
    print(f"agreement: {right} of {len(judged)} ({right / len(judged):.1%}) that R4 alone can judge,", end=" ")
    print(f"{sum(agreed.values())} of {len(agreed)} in all")
    assert {name for name, is_agreed in agreed.items() if not is_agreed} == ELSEWHERE.keys() | DISAGREEMENTS.keys()
    assert len(agreed) == 101
    assert right / len(judged) >= 0.9


async def errors(server: Any, call: Any, data: bytes) -> list[Any]:
    try:
        resource = parse(data)
        body = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": resource}]}
        answer = await invoke(server, call, "validate", resource["resourceType"], None, [], body, is_get=False)
    except FhirError as error:
        return [*error.issues]
    return [issue for issue in json.loads(answer)["issue"] if issue["severity"] == "error"]
