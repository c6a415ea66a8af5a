"""Searches for what is contained in other resources. https://hl7.org/fhir/R4/search.html#contained"""

import pytest

from .building import SYSTEM, ids, observation, patient


@pytest.fixture
async def stored(store_all, tag):
    """Ids by name: requests that contain medications, and a medication by itself."""
    meta = {"tag": [{"system": SYSTEM, "code": tag}]}
    (subject,) = await store_all(patient())

    def medication(id, code, status):
        return {
            "resourceType": "Medication",
            "id": id,
            "code": {"coding": [{"code": f"{tag}{code}"}]},
            "status": status,
        }

    def request(*contained):
        return {
            "resourceType": "MedicationRequest",
            "meta": meta,
            "status": "active",
            "intent": "order",
            "subject": {"reference": f"Patient/{subject}"},
            "medicationReference": {"reference": f"#{contained[0]['id']}"},
            "supportingInformation": [{"reference": f"#{item['id']}"} for item in contained],
            "contained": list(contained),
        }

    both, other, itself = await store_all(
        request(medication("a", "x", "active"), medication("b", "y", "inactive")),
        request(medication("a", "y", "active")),
        {**medication("a", "x", "active"), "meta": meta},
    )
    return {"both": both, "other": other, "itself": itself}


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("Medication?code={tag}x", "itself"),  # what is contained is not found without being asked for
        ("Medication?code={tag}x&_contained=false", "itself"),
        ("Medication?code={tag}x&_contained=true", "both"),
        ("Medication?code={tag}y&_contained=true", "both other"),
        ("Medication?code={tag}x&_contained=both", "both itself"),
        ("Medication?code={tag}x&status=active&_contained=true", "both"),
        ("Medication?code={tag}x&status=inactive&_contained=true", ""),  # the criteria meet in one resource
        ("Medication?code={tag}y&status=inactive&_contained=true", "both"),
        ("Medication?code:not={tag}x&code:missing=false&status=active&_contained=true&code={tag}y", "other"),
        ("Medication?_filter=code eq {tag}y and status eq active&_contained=true", "other"),
    ],
)
async def test_what_is_found(client, stored, tag, search, expected):
    answer = await client.get(search.format(tag=tag))
    assert answer.status_code == 200, answer.text
    assert sorted(ids(answer.json())) == sorted(stored[name] for name in expected.split())


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("Medication?code={tag}y&_contained=true&_containedType=contained", "both#b other#a"),
        ("Medication?code={tag}y&status=inactive&_contained=true&_containedType=contained", "both#b"),
        ("Medication?code={tag}x&_contained=both&_containedType=contained", "both#a itself"),
        ("Medication?code={tag}y&_contained=true&_containedType=container", "both other"),
    ],
)
async def test_what_is_given(client, stored, tag, search, expected):
    page = (await client.get(search.format(tag=tag))).json()
    names = {id: name for name, id in stored.items()}
    given = sorted(
        names[url.rpartition("/")[2].partition("#")[0]] + "#".join(["", *url.split("#")[1:]])
        for url in (entry["fullUrl"] for entry in page["entry"])
    )
    assert given == expected.split()
    for entry in page["entry"]:
        assert (entry["resource"]["resourceType"] == "Medication") == ("container" not in search)


async def test_pages_and_order(client, stored, tag):
    page = (await client.get(f"Medication?code={tag}y&_contained=true&_count=1&_sort=-_lastUpdated")).json()
    assert ids(page) == [stored["other"]]
    following = next(item["url"] for item in page["link"] if item["relation"] == "next")
    assert ids((await client.get(following)).json()) == [stored["both"]]


@pytest.mark.parametrize(
    ("search", "told"),
    [
        ("Medication?_contained=maybe", "false, true, both"),
        ("Medication?_contained=true&_containedType=x", "container, contained"),
        ("?_contained=true", "one type"),
        ("Medication?_contained=true&_id=a", "no identity"),
        ("Patient?_contained=true&_has:Observation:subject:code=x", "no identity"),
        ("Medication?_contained=true&_sort=code", "_lastUpdated"),
        ("PractitionerRole?_contained=true&_containedType=contained&organization.name=x", "itself only"),
    ],
)
async def test_what_makes_no_sense(client, search, told):
    answer = await client.get(search)
    assert (answer.status_code, told in answer.text) == (400, True), answer.text


async def test_a_chain_that_starts_in_what_is_contained(client, store_all, tag):
    (organization,) = await store_all({"resourceType": "Organization", "name": f"Lab {tag}"})
    reference = {"reference": f"Organization/{organization}"}
    practitioner = {"resourceType": "PractitionerRole", "id": "p", "organization": reference}
    (made,) = await store_all(observation(contained=[practitioner], performer=[{"reference": "#p"}]))
    found = (await client.get(f"PractitionerRole?organization.name=Lab {tag}&_contained=true")).json()
    assert ids(found) == [made]


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("MedicationRequest?medication.code={tag}x", "both"),  # the medication is contained, not stored by itself
        ("MedicationRequest?medication.code={tag}y", "other"),  # `both` contains it, but asks for the other one
        ("MedicationRequest?medication:Medication.code={tag}y&medication.status=active", "other"),
        ("MedicationRequest?_filter=medication.code eq {tag}x and medication[status eq active].code eq {tag}x", "both"),
        ("MedicationRequest?medication.code={tag}x,{tag}y", "both other"),
        ("MedicationRequest?medication._id=a", ""),  # a contained resource has no identity
    ],
)
async def test_chains_lead_into_what_is_contained(client, stored, tag, search, expected):
    answer = await client.get(search.format(tag=tag))
    assert answer.status_code == 200, answer.text
    assert sorted(ids(answer.json())) == sorted(stored[name] for name in expected.split())
