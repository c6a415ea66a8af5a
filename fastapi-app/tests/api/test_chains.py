"""Chained parameters and `_has` on the database."""

import random
from typing import Any

import pytest

MARK = "urn:test:chains"


@pytest.fixture
async def family(client) -> dict[str, str]:
    """Ana of the good hospital with a heart rate, Ben of the bad one with a weight, Eva of none with nothing."""
    tag = f"c{random.getrandbits(60)}"
    meta = {"tag": [{"system": MARK, "code": tag}]}

    async def create(resource_type: str, **elements: Any) -> str:
        answer = await client.post(resource_type, json={"resourceType": resource_type, "meta": meta, **elements})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    async def observation(patient: str, code: str, number: int) -> str:
        return await create(
            "Observation",
            status="final",
            code={"coding": [{"code": code}]},
            subject={"reference": f"Patient/{patient}"},
            valueQuantity={"value": number},
        )

    good = await create("Organization", name=f"Good {tag}")
    bad = await create("Organization", name=f"Bad {tag}", partOf={"reference": f"Organization/{good}"})
    ana = await create("Patient", name=[{"family": "Ana"}], managingOrganization={"reference": f"Organization/{good}"})
    ben = await create("Patient", name=[{"family": "Ben"}], managingOrganization={"reference": f"Organization/{bad}"})
    eva = await create(
        "Patient", name=[{"family": "Eva"}], link=[{"other": {"reference": f"Patient/{ana}"}, "type": "seealso"}]
    )
    rate, weight = await observation(ana, "rate", 60), await observation(ben, "weight", 80)
    return {"tag": tag, "ana": ana, "ben": ben, "eva": eva, "rate": rate, "weight": weight, "good": good, "bad": bad}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Observation?subject.family=ana", {"rate"}),
        ("Observation?subject:Patient.family=ben", {"weight"}),
        ("Observation?patient.family=nobody", set()),
        ("Observation?patient.organization.name=Good {tag}", {"rate"}),
        ("Observation?patient.organization.partof.name=Good {tag}", {"weight"}),
        ("Observation?patient.family=ana&value-quantity=gt50", {"rate"}),
        ("Observation?patient.family=ana&value-quantity=gt70", set()),
        ("Observation?patient.family=ana,ben", {"rate", "weight"}),
        ("Observation?patient.family:missing=false", {"rate", "weight"}),
        ("Patient?_has:Observation:patient:code=rate", {"ana"}),
        ("Patient?_has:Observation:subject:value-quantity=gt70", {"ben"}),
        ("Patient?_has:Observation:patient:code=rate&_has:Observation:patient:code=weight", set()),
        ("Patient?_has:Observation:patient:code=nothing", set()),
        ("Patient?link:Patient._has:Observation:patient:code=rate", {"eva"}),
        ("Organization?_has:Patient:organization:_has:Observation:patient:code=weight", {"bad"}),
        ("Organization?_has:Patient:organization:family=ana,ben&_sort=name", {"good", "bad"}),
        ("Patient?organization.name=Bad {tag}&_has:Observation:patient:code=weight", {"ben"}),
    ],
)
async def test_matches(client, family, query, expected):
    answer = await client.get(f"{query.format(**family)}&_tag={family['tag']}")
    assert answer.status_code == 200, answer.text
    found = {entry["resource"]["id"] for entry in answer.json().get("entry", [])}
    assert found == {family[name] for name in expected}
    assert answer.json()["total"] == len(expected)


async def test_a_reference_that_changed_or_went_leads_nowhere(client, family):
    address = f"Observation/{family['rate']}"
    body = (await client.get(address)).json()
    await client.put(address, json=body | {"subject": {"reference": f"Patient/{family['eva']}"}})
    for patient, expected in (("ana", 0), ("eva", 1)):
        url = f"Observation?patient.family={patient}&_tag={family['tag']}"
        assert (await client.get(url)).json()["total"] == expected
    await client.delete(f"Patient/{family['eva']}")
    assert (await client.get(f"Observation?patient.family=eva&_tag={family['tag']}")).json()["total"] == 0
    await client.delete(address)
    assert (await client.get(f"Patient?_has:Observation:patient:code=rate&_tag={family['tag']}")).json()["total"] == 0
