"""Searches over several types, and in compartments.

https://hl7.org/fhir/R4/http.html#search and https://hl7.org/fhir/R4/compartmentdefinition.html
"""

import pytest

from .building import SYSTEM, ids, link, observation, patient


def tags(tag):
    return {"tag": [{"system": SYSTEM, "code": tag}]}


@pytest.fixture
async def stored(store_all, tag):
    """Ids by name: a mother, her child's observation that she made, her own, an encounter of hers, and others'."""
    meta = tags(tag)
    mother, other = await store_all(patient(meta=meta, active=True), patient(meta=meta))
    own, made, strange = await store_all(
        observation(f"Patient/{mother}", meta=meta, status="final"),
        observation(f"Patient/{other}", meta=meta, performer=[{"reference": f"Patient/{mother}"}], status="amended"),
        observation(f"Patient/{other}", meta=meta),
    )
    (encounter,) = await store_all(
        {
            "resourceType": "Encounter",
            "meta": meta,
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": {"reference": f"Patient/{mother}"},
        }
    )
    return {"mother": mother, "other": other, "own": own, "made": made, "strange": strange, "encounter": encounter}


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("?_tag={tag}", "mother other own made strange encounter"),  # all types
        ("?_tag={tag}&_type=Patient", "mother other"),
        ("?_tag={tag}&_type=Patient,Encounter", "mother other encounter"),
        ("?_tag={tag}&_type=Observation,Encounter&status=final,finished", "own strange encounter"),  # shared code
        ("?_tag={tag}&_type=Observation,Encounter&status:not=final", "made encounter"),
        ("?_tag={tag}&_type=Observation,Encounter&patient={mother}", "own encounter"),
        ("?_tag={tag}&_type=Observation,Encounter&subject:Patient.active=true", "own encounter"),  # chained
        ("?_tag={tag}&_type=Patient,Encounter&_id={mother},{encounter}", "mother encounter"),
        ("?_tag={tag}&_has:Observation:subject:status=final", "mother other"),
        ("Patient/{mother}/Observation?_tag={tag}", "own made"),  # by subject and by performer
        ("Patient/{mother}/Observation?_tag={tag}&status=amended", "made"),
        ("Patient/{mother}/Encounter", "encounter"),
        ("Patient/{mother}/*?_tag={tag}", "mother own made encounter"),  # {def}: the patient too
        ("Patient/{mother}/*?_tag={tag}&_type=Encounter,Observation", "own made encounter"),
        ("Patient/{other}/*?_tag={tag}", "other made strange"),
        ("Patient/nobody/Observation", ""),
    ],
)
async def test_what_is_found(client, stored, tag, search, expected):
    answer = await client.get(search.format(tag=tag, **stored))
    assert answer.status_code == 200, answer.text
    assert sorted(ids(answer.json())) == sorted(stored[name] for name in expected.split())


async def test_pages_over_several_types_give_each_match_once(client, stored, tag):
    following, seen = f"?_tag={tag}&_count=2", []
    while following is not None:
        page = (await client.get(following)).json()
        seen += ids(page)
        following = link(page, "next")
    assert sorted(seen) == sorted(stored.values())


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("?_tag={tag}&_type=Patient&_sort=-active", "mother other"),  # as on the type itself: the missing ones last
        ("Patient/{mother}/*?_type=Encounter,Observation&_sort=status", "made own encounter"),  # the same element
        ("Patient/{mother}/*?_type=Encounter,Observation&_sort=-status", "encounter own made"),
    ],
)
async def test_sorted_by_what_the_types_have_in_common(client, stored, tag, search, expected):
    answer = await client.get(search.format(tag=tag, **stored))
    assert ids(answer.json()) == [stored[name] for name in expected.split()]


@pytest.mark.parametrize(
    "search", ["?_sort=status", "?_type=Patient,Encounter&_sort=name", "?_type=Invoice,ChargeItem&_sort=totalgross"]
)
async def test_no_order_that_the_types_have_in_common(client, search):
    answer = await client.get(search)
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["_sort"]


async def test_the_self_link_is_the_address_that_was_asked(client, stored, tag):
    page = (await client.get(f"Patient/{stored['mother']}/*?_tag={tag}")).json()
    assert link(page, "self") == f"http://test/fhir/Patient/{stored['mother']}/*?_tag={tag}"
    assert link((await client.get(f"?_tag={tag}")).json(), "self") == f"http://test/fhir?_tag={tag}"


async def test_by_post_and_in_a_batch(client, send, stored, tag):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for address in ("_search", f"Patient/{stored['mother']}/Encounter/_search"):
        answer = await client.post(f"{address}?_tag={tag}", content="_type=Encounter", headers=form)
        assert ids(answer.json()) == [stored["encounter"]], answer.text
    entries = [
        {"request": {"method": "GET", "url": url}}
        for url in (f"?_tag={tag}&_type=Encounter", f"Patient/{stored['mother']}/Encounter")
    ]
    answered = (await send(*entries, kind="batch")).json()
    assert [ids(entry["resource"]) for entry in answered["entry"]] == [[stored["encounter"]]] * 2
