"""The job: what it does and leaves alone, what it tells, and that it goes on where another process was killed."""

import asyncio
import re
import sys
from dataclasses import replace

import pytest

from fhirserver.fhir.datatypes.ids import home_bucket
from fhirserver.fhir.outcomes import Unavailable
from fhirserver.jobs.runner import Runner

from .conftest import LEASE, parameter, soon

GENDER = parameter("sex", "Patient.gender")
ONE_NAME = parameter("only-name", "Patient.name.single().family", "string")
WORKER = """
import asyncio, sys
from fhirserver.main import Process
from fhirserver.settings import Settings

async def run():
    process = Process(Settings(), sys.argv[1], lease=0.2)
    await process.open()
    await process.runner(1.0).follow()

asyncio.run(run())
"""


def patient(**elements):
    return {"resourceType": "Patient", "gender": "male", **elements}


async def store(instance, number, **elements):
    """Store many patients; their ids."""
    entries = [{"request": {"method": "POST", "url": "Patient"}, "resource": patient(**elements)}] * number
    answer = await instance.client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200, answer.text
    return [item["response"]["location"].split("/")[1] for item in answer.json()["entry"]]


async def count(instance, query):
    return (await instance.client.get(f"{query}&_summary=count")).json()["total"]


async def index_of(instance, id):
    """Index version, version and time of a patient."""
    async with instance.process.pool.connection() as driver:
        return tuple(
            await driver.fetchrow(
                "SELECT index_version, version_id, last_updated, content FROM resource"
                " WHERE bucket = $1 AND resource_type = 'Patient' AND id = $2",
                home_bucket(id), id,
            )
        )  # fmt: skip


async def test_a_killed_process_is_followed_by_another_where_it_was(one, dsn):
    await store(one, 300)
    await one.post(GENDER)
    id = await one.start(perSecond=50)
    worker = await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER, dsn)
    try:

        async def is_at_work():
            job = await one.process.jobs.job(id)
            return bool(job and job.progress.get("done", 0) >= 50)

        await soon(is_at_work)
    finally:
        worker.kill()
        await worker.wait()
    killed = await one.process.jobs.job(id)
    assert killed is not None
    assert killed.state == "running"
    assert await one.process.jobs.take(["reindex"], "too early", 60.0) is None  # it may still be alive
    runner = one.process.runner(1.0)
    job = await one.process.jobs.take(["reindex"], runner.owner, 0.0)
    assert job == killed
    await runner.run(replace(job, parameters={**job.parameters, "perSecond": None}))
    done = await one.process.jobs.job(id)
    assert done is not None
    assert (done.state, done.progress["total"]) == ("completed", 300)
    assert killed.progress["done"] < done.progress["done"] <= 300
    assert await count(one, "Patient?sex=male") == 300


async def test_what_is_posted_while_a_job_rests_waits_for_another(one, monkeypatch):
    await store(one, 2)
    first = await one.post(GENDER)
    id = await one.start()

    async def fail(*_):
        raise Unavailable("the database is restarting")

    with monkeypatch.context() as failing:
        failing.setattr(one.process.index, "outdated", fail)
        assert (await one.work()).state == "waiting"
    second = await one.post(parameter("born", "Patient.birthDate", "date"))
    done = await one.work()
    assert (done.id, done.progress["ready"]) == (id, [f"SearchParameter/{first}"])
    assert await count(one, "Patient?sex=male") == 2
    assert "can't be searched by yet" in await one.refused("Patient?born=2000")
    assert (await one.reindex()).progress["ready"] == [f"SearchParameter/{second}"]


async def test_what_cannot_be_indexed_is_told(one):
    ids = [await one.post(patient(name=[{"family": name} for name in names])) for names in (["a"], ["b", "c"])]
    broken = await one.post(patient())
    await one.post(ONE_NAME)
    async with one.process.pool.connection() as driver:
        await driver.execute("UPDATE resource SET content = '[1]' WHERE id = $1", broken)
    done = await one.reindex()
    assert (done.state, done.progress["failed"]) == ("completed", 2)
    reasons = dict(done.progress["failures"])
    assert "only-name: single()" in reasons[f"Patient/{ids[1]}"]
    assert f"Patient/{broken}" in reasons
    assert len(done.progress["notReady"]) == 1  # as the index of one resource is as it was
    assert "can't be searched by yet" in await one.refused("Patient?only-name=a")
    told = (await one.client.get(f"_jobs/{done.id}")).json()["parameter"]
    failures = [item["part"] for item in told if item["name"] == "failure"]
    assert {part[0]["valueString"] for part in failures} == set(reasons)

    await one.client.put(f"Patient/{broken}", json=patient(id=broken))
    done = await one.reindex()
    assert (done.progress["total"], done.progress["notReady"]) == (0, [])
    assert await one.search("Patient?only-name=a") == [ids[0]]
    assert await one.search("Patient?only-name:missing=true") == sorted([ids[1], broken])


async def test_a_value_that_cannot_be_computed_does_not_stop_a_write(one):
    await one.post(ONE_NAME)
    await one.reindex()
    id = await one.post(patient(name=[{"family": "a"}, {"family": "b"}]))
    assert await one.search("Patient?name=a") == [id]
    assert await one.search("Patient?only-name=a") == []


async def test_nothing_but_the_index_changes_and_only_where_it_has_to(one):
    [male] = await store(one, 1)
    other = await one.post({"resourceType": "Practitioner", "gender": "male"})
    before = await index_of(one, male)
    await one.post(GENDER)
    done = await one.reindex()
    assert done.progress["types"] == {"Patient": [1, 1]}
    after = await index_of(one, male)
    assert after[1:] == before[1:]
    assert after[0] > before[0]
    assert (await one.reindex()).progress["total"] == 0
    assert (await one.reindex(all="true", type="Practitioner")).progress["types"] == {"Practitioner": [1, 1]}
    everything = await one.reindex(all="true")
    assert everything.progress["types"] == {"Patient": [1, 1], "Practitioner": [1, 1], "SearchParameter": [1, 1]}
    assert await one.search("Practitioner?gender=male") == [other]


async def test_only_some_types_or_some_parameters(one):
    await store(one, 2)
    await one.post({"resourceType": "Person", "gender": "male"})
    a = await one.post(
        parameter("both", "Patient.gender | Person.gender", base="Patient") | {"base": ["Patient", "Person"]}
    )
    b = await one.post(parameter("mine", "Patient.gender"))
    done = await one.reindex("Person/$reindex")
    assert done.progress["types"] == {"Person": [1, 1]}
    assert done.progress["notReady"] == [f"SearchParameter/{a}", f"SearchParameter/{b}"]  # patients are yet to come
    done = await one.reindex(searchParameter=f"SearchParameter/{a}")
    assert (done.progress["types"], done.progress["ready"]) == ({"Patient": [2, 2]}, [f"SearchParameter/{a}"])
    done = await one.reindex(searchParameter="urn:test:mine")
    assert (done.progress["total"], done.progress["ready"]) == (0, [f"SearchParameter/{b}"])


async def test_searches_are_right_and_writers_win_while_it_runs(one, other):
    ids = await store(one, 300)
    await one.post(GENDER)
    await other.hear()
    work = asyncio.create_task(one.reindex(perSecond=600))
    for id in ids[::10]:
        written = await other.client.put(f"Patient/{id}", json=patient(id=id, gender="female"))
        assert written.status_code == 200, written.text
        assert await count(other, "Patient?gender=female") + await count(other, "Patient?gender=male") == 300
    await work
    await other.hear()
    assert await count(other, "Patient?sex=female") == 30
    assert await count(other, "Patient?sex=male") == 270
    for id in ids[::100]:
        assert (await index_of(one, id))[1] == 2


async def test_a_process_that_does_not_know_yet_may_not_write_for_long(one, other):
    await one.post(GENDER)
    assert (await other.client.post("Patient", json=patient())).status_code == 201  # it was heard a moment ago
    other.time += LEASE
    late = await other.client.post("Patient", json=patient())
    assert (late.status_code, late.json()["issue"][0]["code"]) == (503, "transient")
    await other.hear()
    assert (await other.client.post("Patient", json=patient())).status_code == 201
    other.time += LEASE
    assert (await other.client.post("Patient", json=patient())).status_code == 201  # nothing changed: it asks by itself
    done = await one.reindex()
    assert done.progress["total"] == 1
    await other.hear()
    assert await count(other, "Patient?sex=male") == 3


async def test_it_waits_for_transactions_that_began_before(one, other):
    await other.hear()
    async with other.process.current.server.store.transaction() as session:
        await session.read("Patient", "x", None)
        await one.post(GENDER)
        work = asyncio.create_task(one.reindex())
        await asyncio.sleep(LEASE * 3)
        assert not work.done()
    assert (await work).state == "completed"


async def test_one_resource_at_once(one):
    [id] = await store(one, 1)
    await one.post(GENDER)
    await one.hear()
    answer = await one.client.post(f"Patient/{id}/$reindex")
    assert answer.status_code == 200
    assert answer.json()["parameter"] == [{"name": "reindexed", "valueBoolean": True}]
    assert (await one.reindex()).progress["total"] == 0
    assert await one.search("Patient?sex=male") == [id]
    assert (await one.client.post("Patient/unknown/$reindex")).status_code == 404


async def test_it_can_be_ended_and_is_listed(one):
    await store(one, 300)
    await one.post(GENDER)
    id = await one.start(perSecond=100)
    address = f"_jobs/{id}"
    waiting = await one.client.get(address)
    assert (waiting.status_code, waiting.headers["x-progress"]) == (202, "waiting")
    work = asyncio.create_task(one.work())

    async def is_at_work():
        line = (await one.client.get(address)).headers["x-progress"]
        return bool(re.fullmatch(r"running, [1-9]\d* of 300", line))

    await soon(is_at_work)
    assert (await one.client.delete(address)).status_code == 202
    assert (await work).state == "cancelled"
    told = await one.client.get(address)
    assert told.status_code == 200
    assert {"name": "state", "valueCode": "cancelled"} in told.json()["parameter"]
    assert (await one.client.delete(address)).status_code == 404
    assert (await one.client.get("_jobs/unknown")).status_code == 404
    listed = (await one.client.get("_jobs")).json()["parameter"]
    assert {"name": "id", "valueId": id} in listed[0]["part"]


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [
        ("GET", "$reindex", 405),  # it changes something
        ("POST", "$reindex?type=Unicorn", 400),
        ("POST", "Unicorn/$reindex", 404),
        ("POST", "Patient/$reindex?type=Patient", 400),  # that is said already
        ("POST", "$reindex?searchParameter=urn:nowhere", 400),
        ("POST", "$reindex?perSecond=0", 400),
        ("POST", "$reindex?perSecond=x", 400),
        ("PUT", "_jobs", 405),
    ],
)
async def test_bad_requests(one, method, address, status):
    answer = await one.client.request(method, address)
    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"


async def test_in_a_batch(one):
    entry = {"request": {"method": "POST", "url": "$reindex"}}
    answer = await one.client.post("", json={"resourceType": "Bundle", "type": "batch", "entry": [entry]})
    response = answer.json()["entry"][0]["response"]
    assert response["status"] == "202 Accepted"
    assert (await one.client.get(response["location"])).status_code == 202


async def test_the_base_of_old_references_is_found_out(one):
    """Who wrote `https://here/fhir/Practitioner/1` called the server so: the reference stays one to a resource here."""
    doctor = await one.post({"resourceType": "Practitioner"})
    reference = {"reference": f"https://here.example/fhir/Practitioner/{doctor}"}
    elsewhere = {"reference": "https://there.example/fhir/Practitioner/2"}
    answer = await one.client.post(
        "Patient", json=patient(generalPractitioner=[reference, elsewhere]), headers={"Host": "here.example"}
    )
    id = answer.headers["location"].split("/")[-3]
    # The scheme of the test's transport is http: the same by what is stored.
    content = reference["reference"].replace("https", "http")
    answer = await one.client.put(
        f"Patient/{id}", json=patient(id=id, generalPractitioner=[{"reference": content}, elsewhere]),
        headers={"Host": "here.example"},
    )  # fmt: skip
    assert await one.search(f"Patient?general-practitioner={doctor}") == [id]
    await one.post(GENDER)
    await one.reindex()
    assert await one.search(f"Patient?general-practitioner=Practitioner/{doctor}") == [id]
    assert await one.search(f"Patient?general-practitioner={elsewhere['reference']}") == [id]
    assert await one.search("Patient?general-practitioner=Practitioner/2") == []


async def test_notes_of_compartments_are_made_up_for(one):
    """What was stored before there were any is found in the compartments of patients who live elsewhere."""
    mine, other = await store(one, 2)
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    observation |= {"subject": {"reference": f"Patient/{mine}"}, "performer": [{"reference": f"Patient/{other}"}]}
    id = await one.post(observation)
    async with one.process.pool.connection() as driver:
        await driver.execute("DELETE FROM compartment_outside")
    assert await one.search(f"Patient/{other}/Observation") == []
    await one.reindex(all="true")
    assert await one.search(f"Patient/{other}/Observation") == [id]


async def test_after_an_upgrade_everything_is_indexed_anew(one, start, monkeypatch):
    [id] = await store(one, 1)
    monkeypatch.setattr("fhirserver.interactions.search_parameters.INDEX_FORMAT", 2)
    newer = await start()
    [job] = await newer.process.jobs.recent(9)
    assert (job.kind, job.requester, job.state) == ("reindex", "upgrade", "waiting")
    await start()  # and another one: one job is enough
    assert len(await newer.process.jobs.recent(9)) == 1
    done = await newer.work()
    assert (done.state, done.progress["total"]) == ("completed", 1)
    assert (await index_of(newer, id))[0] > 0
    await start()
    assert [job.state for job in await newer.process.jobs.recent(9)] == ["completed"]

    monkeypatch.setattr("fhirserver.interactions.search_parameters.INDEX_FORMAT", 1)
    await one.hear()  # one of the older version that still runs
    [late] = await store(one, 1)
    assert (await index_of(one, late))[0] < 0
    assert not one.process.runner(1.0)._kinds()  # it leaves the jobs to the others
    monkeypatch.setattr("fhirserver.interactions.search_parameters.INDEX_FORMAT", 2)
    await newer.hear()
    assert (await newer.process.jobs.recent(9))[0].state == "waiting"
    assert (await newer.work()).progress["total"] == 1
    assert (await index_of(newer, late))[0] > 0


async def test_a_database_that_is_away_for_a_while_ends_no_job(one):
    async def work(running):
        running.progress["tried"] = running.progress.get("tried", 0) + 1
        if running.progress["tried"] == 1:
            raise Unavailable("the database is restarting")

    runner = Runner(one.process.jobs, lambda: {"reindex": work}, "me")
    id = await one.start()
    for state, problem in (("waiting", "the database is restarting"), ("completed", None)):
        job = await one.process.jobs.take(["reindex"], "me", 60.0)
        assert job is not None
        await runner.run(job)
        job = await one.process.jobs.job(id)
        assert job is not None
        assert (job.state, job.progress.get("problem")) == (state, problem)


async def test_a_defect_ends_a_job_and_tells_nothing_of_patients(one):
    async def work(running):
        raise RuntimeError("Mr Miller")

    id = await one.start()
    job = await one.process.jobs.take(["reindex"], "me", 60.0)
    assert job is not None
    await Runner(one.process.jobs, lambda: {"reindex": work}, "me").run(job)
    told = await one.client.get(f"_jobs/{id}")
    assert {"name": "state", "valueCode": "failed"} in told.json()["parameter"]
    assert "RuntimeError" in told.text
    assert "Miller" not in told.text


async def test_a_process_that_stops_hands_its_job_on(one):
    async def work(running):
        running.progress["at"] = 7
        await asyncio.sleep(60)

    id = await one.start()
    runner = Runner(one.process.jobs, lambda: {"reindex": work}, "me")
    following = asyncio.create_task(runner.follow())

    async def is_taken():
        job = await one.process.jobs.job(id)
        return bool(job and job.state == "running")

    await soon(is_taken)
    await asyncio.sleep(0.05)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    job = await one.process.jobs.take(["reindex"], "another", 60.0)
    assert job is not None
    assert job.progress == {"at": 7}
