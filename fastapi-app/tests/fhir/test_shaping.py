"""`_summary` and `_elements`: what is kept, and that it is said."""

import pytest

from fhirserver.fhir.shaping import SUBSETTED, selected, summarised, text_only, without_text

RESOURCE = {
    "resourceType": "Observation",
    "id": "1",
    "meta": {"versionId": "1", "tag": [{"code": "mine"}]},
    "text": {"status": "generated", "div": "<div/>"},
    "status": "final",
    "_status": {"id": "s"},
    "code": {"text": "x"},
    "valueString": "v",
    "note": [{"text": "n"}],
    "component": [{"code": {"text": "c"}, "valueString": "cv", "interpretation": [{"text": "i"}]}],
}


@pytest.mark.parametrize(
    ("shape", "kept"),
    [
        # status and code are 1..1, so they are always there
        (lambda d: selected(RESOURCE, ["value"], d), {"status", "_status", "code", "valueString"}),
        (lambda d: selected(RESOURCE, ["Observation.note"], d), {"status", "_status", "code", "note"}),
        (lambda d: text_only(RESOURCE, d), {"status", "_status", "code", "text"}),
        (lambda d: without_text(RESOURCE), set(RESOURCE) - {"resourceType", "id", "meta", "text"}),
        # note is no summary element; value and component are
        (lambda d: summarised(RESOURCE, d), {"status", "_status", "code", "valueString", "component"}),
    ],
)
def test_what_is_kept(definitions, shape, kept):
    shaped = shape(definitions)
    assert set(shaped) == kept | {"resourceType", "id", "meta"}
    assert shaped["meta"] == {"versionId": "1", "tag": [{"code": "mine"}, SUBSETTED]}


def test_a_summary_goes_into_backbone_elements(definitions):
    # Observation.component.interpretation is no summary element, value is
    assert summarised(RESOURCE, definitions)["component"] == [{"code": {"text": "c"}, "valueString": "cv"}]
