"""How thoroughly a write is checked: by setting and by request. https://hl7.org/fhir/R4/validation.html"""

from dataclasses import replace

import pytest

from fhirserver.fhir.outcomes import InvalidRequest, InvalidResource
from fhirserver.interactions.context import Validation
from fhirserver.interactions.validation import check, check_bundle, examine, mode_of

RIGHT = {"resourceType": "Patient", "gender": "male"}
WRONG_CODE = {"resourceType": "Patient", "gender": "man"}
WRONG_ELEMENT = {"resourceType": "Patient", "x": 1}


async def test_what_is_checked(server, call):
    await check(server, call, "Patient", RIGHT)
    with pytest.raises(InvalidRequest):
        await check(server, call, "Patient", {"resourceType": "Person"})
    for wrong in (WRONG_CODE, WRONG_ELEMENT, {"resourceType": 5}, {}):
        with pytest.raises(InvalidResource):
            await check(server, call, "Patient", wrong)


@pytest.mark.parametrize(
    ("setting", "may_be_lowered", "asked", "mode", "why"),
    [
        ("strict", False, None, "strict", "as the server has it"),
        ("structure", False, None, "structure", "as the server has it"),
        ("off", False, "strict", "strict", "more is always allowed"),
        ("structure", False, "strict", "strict", "more is always allowed"),
        ("strict", True, "off", "off", "less where the server allows it"),
        ("strict", True, "structure", "structure", "less where the server allows it"),
        ("strict", False, "strict", "strict", "the same"),
        ("strict", False, "structure", None, "less is refused"),
        ("structure", False, "off", None, "less is refused"),
    ],
)
def test_the_mode_of_a_request(server, call, setting, may_be_lowered, asked, mode, why):
    server = replace(server, validation=Validation(setting, may_be_lowered))
    call = replace(call, validation=asked)
    if mode is None:
        with pytest.raises(InvalidRequest):
            mode_of(server, call)
    else:
        assert mode_of(server, call) == mode, why


@pytest.mark.parametrize(
    ("mode", "refused"),
    [
        ("strict", [False, True, True]),
        ("structure", [False, False, True]),
        ("off", [False, False, False]),
    ],
)
async def test_what_a_mode_refuses(server, call, mode, refused):
    server = replace(server, validation=Validation(mode))
    for resource, is_refused in zip((RIGHT, WRONG_CODE, WRONG_ELEMENT), refused, strict=True):
        if is_refused:
            with pytest.raises(InvalidResource):
                await check(server, call, "Patient", resource)
        else:
            await check(server, call, "Patient", resource)
    with pytest.raises((InvalidRequest, InvalidResource)):
        await check(server, call, "Patient", {"resourceType": "Person"})


async def test_references_by_criteria_belong_in_transactions(server, call):
    resource = {"resourceType": "Basic", "code": {"text": "x"}, "subject": {"reference": "Patient?identifier=1"}}
    assert examine(server, call, "Basic", resource, in_transaction=True) == ([], [])
    with pytest.raises(InvalidResource):
        await check(server, call, "Basic", resource)


def test_a_bundle_is_checked_apart_from_its_resources(server, call):
    entries = [
        {"resource": {"resourceType": "Nothing"}, "request": {"method": "POST", "url": "Patient"}},
        {"resource": RIGHT, "request": {"method": "POST", "url": "Patient", "ifNoneExists": "a=b"}},
        {"request": {"method": "POST", "url": "Patient"}},
    ]
    found = check_bundle(server, call, {"resourceType": "Bundle", "type": "batch", "entry": entries})
    assert {index: [issue.expression[0] for issue in issues] for index, issues in found.items()} == {
        1: ["Bundle.entry[1].request.ifNoneExists"],
        2: ["Bundle.entry[2]"],
    }
    with pytest.raises(InvalidResource):
        check_bundle(server, call, {"resourceType": "Bundle", "type": "batch", "entries": entries})
