"""Every prefix × every precision that is asked, on numbers and on Ranges.

https://hl7.org/fhir/R4/search.html#number and #prefix: the precision of the number asked counts for eq and ne alone;
`ap` is ten per cent up and down; the number in the resource is exact.
"""

import json
from typing import Any

import pytest

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
NUMBERS = (
    "89.9", "90", "94.9", "95", "99.4", "99.5", "99.995", "100", "100.004", "100.005", "100.4", "100.5", "105", "110",
    "110.1",
)  # fmt: skip
RANGES: dict[str, dict[str, Any]] = {
    "around": {"low": {"value": 99}, "high": {"value": 101}},
    "inside": {"low": {"value": 99.8}, "high": {"value": 100.2}},
    "from": {"low": {"value": 100}},
    "upto": {"high": {"value": 100}},
}


def _risk(**prediction: Any) -> dict[str, Any]:
    return {
        "resourceType": "RiskAssessment",
        "status": "final",
        "subject": {"display": "x"},
        "prediction": [prediction],
    }


RESOURCES = {
    **{text.replace(".", "p"): _risk(probabilityDecimal=json.loads(text)) for text in NUMBERS},
    **{name: _risk(probabilityRange=value) for name, value in RANGES.items()},
    "none": _risk(rationale="no number"),
}

FACTS = [
    # asked, values, the prefixes that find them, why
    ("100", "89.9", "ne lt le eb", "below, by more than ten per cent"),
    ("100", "90 94.9 95 99.4", "ne lt le eb ap", "below [99.5 … 100.5), within ten per cent"),
    ("100", "99.5 99.995", "eq lt le eb ap", "R4: in [99.5 … 100.5), but less than exactly 100"),
    ("100", "100", "eq ge le ap", "exactly 100"),
    ("100", "100.004 100.005 100.4", "eq gt ge sa ap", "in [99.5 … 100.5), but more than exactly 100"),
    ("100", "100.5 105 110", "ne gt ge sa ap", "the upper end of [99.5 … 100.5) is out"),
    ("100", "110.1", "ne gt ge sa", "above, by more than ten per cent"),
    ("100.00", "89.9", "ne lt le eb", "below, by more than ten per cent"),
    ("100.00", "90 94.9 95 99.4 99.5", "ne lt le eb ap", "below [99.995 … 100.005)"),
    ("100.00", "99.995", "eq lt le eb ap", "R4: 5 significant figures, the lower end of [99.995 … 100.005) is in"),
    ("100.00", "100", "eq ge le ap", "exactly 100"),
    ("100.00", "100.004", "eq gt ge sa ap", "in [99.995 … 100.005)"),
    ("100.00", "100.005 100.4 100.5 105 110", "ne gt ge sa ap", "the upper end is out"),
    ("100.00", "110.1", "ne gt ge sa", "above, by more than ten per cent"),
    ("1e2", "89.9", "ne lt le eb", "below, by more than ten per cent"),
    ("1e2", "90 94.9", "ne lt le eb ap", "below [95 … 105)"),
    ("1e2", "95 99.4 99.5 99.995", "eq lt le eb ap", "R4: in [95 … 105), but less than exactly 100"),
    ("1e2", "100", "eq ge le ap", "exactly 100"),
    ("1e2", "100.004 100.005 100.4 100.5", "eq gt ge sa ap", "R4: in [95 … 105), but more than exactly 100"),
    ("1e2", "105 110", "ne gt ge sa ap", "the upper end of [95 … 105) is out"),
    ("1e2", "110.1", "ne gt ge sa", "above, by more than ten per cent"),
    ("100", "inside", "eq gt lt ge le ap", "contained in [99.5 … 100.5), with parts below and above exactly 100"),
    ("100", "around", "ne gt lt ge le ap", "wider than [99.5 … 100.5)"),
    ("100", "from", "ne gt ge ap", "R4: any value from 100 on, part of it above; nothing below"),
    ("100", "upto", "ne lt le ap", "any value up to 100, part of it below; nothing above"),
    ("100.00", "inside around", "ne gt lt ge le ap", "wider than [99.995 … 100.005)"),
    ("100.00", "from", "ne gt ge ap", "no upper end"),
    ("100.00", "upto", "ne lt le ap", "no lower end"),
    ("1e2", "inside around", "eq gt lt ge le ap", "contained in [95 … 105)"),
    ("1e2", "from", "ne gt ge ap", "no upper end"),
    ("1e2", "upto", "ne lt le ap", "no lower end"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "values", "prefixes", "reason"), FACTS)
async def test_facts(find, asked: str, values: str, prefixes: str, reason: str) -> None:
    for prefix in PREFIXES:
        found = set(await find(f"RiskAssessment?probability={prefix}{asked}"))
        wanted = set(values.replace(".", "p").split())
        assert found & wanted == (wanted if prefix in prefixes.split() else set()), f"{prefix}: {reason}"


@pytest.mark.parametrize("asked", sorted({row[0] for row in FACTS}))
async def test_all_of_it(find, asked: str) -> None:
    """The table is complete; no prefix means eq; what has no number is never found."""
    told = [value for row in FACTS if row[0] == asked for value in row[1].split()]
    assert sorted(told) == sorted([*NUMBERS, *RANGES])
    assert await find(f"RiskAssessment?probability={asked}") == await find(f"RiskAssessment?probability=eq{asked}")
    for prefix in PREFIXES:
        assert "none" not in await find(f"RiskAssessment?probability={prefix}{asked}")
