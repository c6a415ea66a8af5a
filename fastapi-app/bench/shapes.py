"""What is asked: the two workloads of `../shared/workloads.md`, and searches that are hard by the spread of values.

A shape makes the path of a request, with values drawn at random from what is stored.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from urllib.parse import quote

import asyncpg
import orjson

from bench.population import HEAVY, RARE
from fhirserver.fhir.datatypes.ids import BUCKETS

PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")
_LOINC = "http://loinc.org|"
_SAMPLED_BUCKETS = 200
_SAMPLED_ROWS = 1000
_NOBODY = "qqxyzzy"


class Values:
    """Values of what is stored, to be drawn from by `pick`."""

    def __init__(self, random: Random, found: Mapping[str, Sequence[str]]):
        self.random = random
        self._found = found

    def pick(self, name: str) -> str:
        return self.random.choice(self._found[name])

    def one_of(self, *texts: str) -> str:
        return self.random.choice(texts)


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of request. `in_record`: it is about one patient."""

    name: str
    path: Callable[[Values], str]
    in_record: bool = False


async def sample(connection: "asyncpg.Connection[asyncpg.Record]", seed: int) -> Values:
    """Draw what the shapes need from a few hundred buckets."""
    random = Random(seed)
    buckets = random.sample(range(BUCKETS), _SAMPLED_BUCKETS)
    found: dict[str, dict[str, None]] = {}

    def add(name: str, value: str) -> None:
        found.setdefault(name, {})[value] = None

    for resource_type, collect in _COLLECT.items():
        rows = await connection.fetch(
            "SELECT content::text FROM resource WHERE resource_type = $1 AND bucket = ANY($2) AND content IS NOT NULL"
            f" LIMIT {_SAMPLED_ROWS}",
            resource_type,
            buckets,
        )
        for row in rows:
            resource = orjson.loads(row[0])
            if resource["id"] != HEAVY and resource.get("subject", {}).get("reference") != f"Patient/{HEAVY}":
                collect(resource, add)
    return Values(random, {name: list(values) for name, values in found.items()})


_Resource = Mapping[str, object]
_Add = Callable[[str, str], None]


def _patient(resource: "dict[str, list[dict[str, list[str]]]]", add: _Add) -> None:
    add("Patient", str(resource["id"]))
    add("family", str(resource["name"][0]["family"]))
    add("given", resource["name"][0]["given"][0])
    for address in resource.get("address", ()):
        add("city", str(address.get("city")))
    add("birthDate", str(resource["birthDate"]))


def _coded(resource: dict[str, dict[str, list[dict[str, str]]]], add: _Add) -> None:
    for coding in resource["code"]["coding"]:
        add(f"{resource['resourceType']}.code", f"{coding.get('system')}|{coding.get('code')}")


def _observation(resource: dict[str, dict[str, list[dict[str, str]]]], add: _Add) -> None:
    _coded(resource, add)
    add("day", str(resource.get("effectiveDateTime", "2010-01-01"))[:10])


def _encounter(resource: dict[str, list[dict[str, dict[str, str]]]], add: _Add) -> None:
    add("Encounter", str(resource["id"]))
    for participant in resource.get("participant", ()):
        add("Practitioner", participant["individual"]["reference"].rpartition("/")[2])
    for location in resource.get("location", ()):
        add("Location", location["location"]["reference"].rpartition("/")[2])


def _organization(resource: dict[str, str], add: _Add) -> None:
    add("organization", resource["name"].split(" ")[0])


def _medication(resource: dict[str, dict[str, str]], add: _Add) -> None:
    if "encounter" in resource:
        add("prescribed", resource["encounter"]["reference"].rpartition("/")[2])
    add("requester", resource["requester"]["reference"].rpartition("/")[2])


_COLLECT: Mapping[str, Callable[..., None]] = {
    "Patient": _patient,
    "Observation": _observation,
    "Condition": _coded,
    "Procedure": _coded,
    "Encounter": _encounter,
    "Organization": _organization,
    "MedicationRequest": _medication,
}


def _text(values: Values, name: str) -> str:
    """The beginning of a text, or one that nothing has."""
    found = _NOBODY if values.random.random() < 0.2 else values.pick(name)
    return quote(found[: values.random.randint(3, 8)])


def _string(parameter: str, name: str) -> Callable[[Values], str]:
    return lambda v: f"{parameter}{v.one_of('', ':contains')}={_text(v, name)}&_count=20"


def _number(v: Values, low: int, high: int) -> str:
    return f"{v.one_of(*PREFIXES)}{v.random.randint(low, high)}"


def _code(v: Values) -> str:
    """`code`, `system|code`, or a list of two."""
    system_and_code = v.pick("Observation.code")
    return v.one_of(
        system_and_code, system_and_code.partition("|")[2], f"{system_and_code},{v.pick('Observation.code')}"
    )


SEARCH_A = (
    Shape("Patient?name", lambda v: "Patient?" + _string("name", v.one_of("family", "given"))(v)),
    Shape("Patient?address", lambda v: "Patient?" + _string("address", "city")(v)),
    Shape("Organization?name", lambda v: "Organization?" + _string("name", "organization")(v)),
    Shape("Patient?birthdate", lambda v: f"Patient?birthdate={v.one_of(*PREFIXES)}{v.pick('birthDate')}&_count=20"),
    Shape("Observation?date", lambda v: f"Observation?date={v.one_of(*PREFIXES)}{v.pick('day')}&_count=20"),
    Shape("Encounter?date", lambda v: f"Encounter?date={v.one_of(*PREFIXES)}{v.pick('day')}&_count=20"),
    Shape(
        "Observation?category",
        lambda v: "Observation?_count=20&category=" + v.one_of("vital-signs", "laboratory", "survey,laboratory"),
    ),
    Shape("Observation?code", lambda v: f"Observation?code={_code(v)}&_count=20"),
    Shape("Encounter?status", lambda v: f"Encounter?status={v.one_of('finished', 'in-progress', 'planned')}&_count=20"),
    Shape("Encounter?class", lambda v: f"Encounter?class={v.one_of('AMB', 'EMER', 'IMP,EMER', 'WELLNESS')}&_count=20"),
    Shape("Observation?value-quantity", lambda v: f"Observation?value-quantity={_number(v, 1, 200)}&_count=20"),
    Shape(
        "Observation?component-value-quantity",
        lambda v: f"Observation?component-value-quantity={_number(v, 40, 180)}&_count=20",
    ),
    Shape(
        "Observation?combo-value-quantity",
        lambda v: f"Observation?combo-value-quantity={_number(v, 1, 200)}&_count=20",
    ),
    Shape(
        "Observation?code-value-quantity",
        lambda v: f"Observation?code-value-quantity={v.pick('Observation.code')}${_number(v, 1, 200)}&_count=20",
    ),
    Shape(
        "Observation?component-code-value-quantity",
        lambda v: f"Observation?component-code-value-quantity={_LOINC}8480-6${_number(v, 90, 180)}&_count=20",
    ),
    Shape(
        "Observation?combo-code-value-quantity",
        lambda v: f"Observation?combo-code-value-quantity={_LOINC}8480-6$gt140&_count=20",
    ),
    Shape("Observation?subject", lambda v: f"Observation?subject=Patient/{v.pick('Patient')}&_count=20", True),
    Shape("Observation?encounter", lambda v: f"Observation?encounter=Encounter/{v.pick('Encounter')}&_count=20"),
    Shape("Observation?performer", lambda v: f"Observation?performer=Practitioner/{v.pick('Practitioner')}&_count=20"),
    Shape("Encounter?subject", lambda v: f"Encounter?subject=Patient/{v.pick('Patient')}&_count=20", True),
    Shape("Encounter?participant", lambda v: f"Encounter?participant=Practitioner/{v.pick('Practitioner')}&_count=20"),
    Shape(
        "MedicationRequest?subject",
        lambda v: f"MedicationRequest?subject=Patient/{v.pick('Patient')}&_count=20",
        True,
    ),
    Shape(
        "MedicationRequest?encounter",
        lambda v: f"MedicationRequest?encounter=Encounter/{v.pick('prescribed')}&_count=20",
    ),
    Shape(
        "MedicationRequest?requester",
        lambda v: f"MedicationRequest?requester=Practitioner/{v.pick('requester')}&_count=20",
    ),
)


def _as_written(path: str, *, in_record: bool = False) -> Shape:
    """A shape from its text: a name in braces stands for a value drawn at random."""
    head, *rest = path.split("{")
    pieces = [piece.partition("}")[::2] for piece in rest]

    def make(values: Values) -> str:
        return head + "".join(quote(values.pick(name), safe="|:/") + tail for name, tail in pieces)

    return Shape(path, make, in_record)


SEARCH_B = (
    _as_written("metadata"),
    _as_written("Observation?_count=10"),
    _as_written("Observation?_count=1&_total=accurate"),
    _as_written(f"Observation?code={_LOINC}8480-6&_count=1&_total=accurate"),
    _as_written("Patient?gender=male&_count=5&_total=accurate"),
    _as_written("Patient?family=S&_count=5"),
    _as_written("Patient?given=A&_count=5"),
    _as_written(f"Observation?code={_LOINC}8302-2&_count=5&_total=accurate"),
    _as_written(f"Observation?code={_LOINC}29463-7&_count=5&_total=accurate"),
    _as_written(f"Observation?code={_LOINC}72514-3&_count=5&_total=accurate"),
    _as_written("Observation?date=ge2020-01-01&_count=5"),
    _as_written("Patient/{Patient}"),
    _as_written("Patient?family={family}&_count=5"),
    _as_written("Observation?patient=Patient/{Patient}&_count=20", in_record=True),
    _as_written("Condition?patient=Patient/{Patient}", in_record=True),
    _as_written("Condition?code={Condition.code}&_count=5"),
    _as_written("Procedure?code={Procedure.code}&_count=5"),
    _as_written("Encounter?patient=Patient/{Patient}&_count=10", in_record=True),
    _as_written("MedicationRequest?patient=Patient/{Patient}&_count=10", in_record=True),
    _as_written("Encounter?participant=Practitioner/{Practitioner}&_count=10"),
    _as_written("Encounter?location=Location/{Location}&_count=10"),
    _as_written(f"Observation?combo-code={_LOINC}8480-6&_count=1&_total=accurate"),
    _as_written("Patient?gender=female&family=B&_count=5"),
    _as_written("Patient?_content=Smith"),
    _as_written("Observation?_content=blood"),
    _as_written("Condition?_content=hypertension"),
    _as_written("Patient?name:text=ohn"),
    _as_written("Patient?address:text=Boston"),
    _as_written("Patient?_text=Smith"),
    _as_written("Condition?code:text=hypertensive"),
)

SPREAD = (
    Shape("nobody: Patient?identifier", lambda v: f"Patient?identifier=nobody|{v.random.randrange(10**9)}"),
    Shape("nobody: Observation?code", lambda v: f"Observation?code=nobody|{v.random.randrange(10**9)}"),
    Shape(
        "nobody: Observation?code&date",
        lambda v: f"Observation?code=nobody|{v.random.randrange(10**9)}&date=ge2010&_sort=-date",
    ),
    Shape("nobody: Patient?name", lambda v: f"Patient?name={_NOBODY}{v.random.randrange(10**6)}"),
    _as_written("Observation?status=final&_count=20"),
    _as_written("Observation?status=final&_sort=date&_count=20"),
    _as_written("Observation?status=final&_sort=-date&_count=20"),
    _as_written("Observation?status=amended&_sort=-date&_count=20"),
    _as_written("Observation?status:not=final&_count=20"),
    _as_written(f"Observation?code={RARE}"),
    _as_written(f"Observation?code={RARE}&_sort=date"),
    _as_written(f"Observation?code={RARE}&status=final&_sort=-_lastUpdated"),
    _as_written(f"Observation?patient={HEAVY}&_count=20", in_record=True),
    _as_written(f"Observation?patient={HEAVY}&_sort=-date&_count=20", in_record=True),
    _as_written(f"Observation?patient={HEAVY}&code={RARE}", in_record=True),
    _as_written(f"Observation?code={_LOINC}8302-2&_sort=-date&_count=20"),
    _as_written(f"Observation?code={_LOINC}8302-2&date=ge2018&_sort=date&_count=20"),
    _as_written("Observation?_sort=_lastUpdated&_count=20"),
    _as_written("Observation?_sort=-_lastUpdated&_count=20"),
    _as_written("Patient?_sort=family,given&_count=20"),
    _as_written(f"Observation?code={_LOINC}8302-2&_sort=value-quantity&_count=20"),
    _as_written("Observation?date=2015-06-01&_count=20"),
    _as_written("Observation?date=ge2015-06-01&date=lt2015-06-08&_count=20"),
    _as_written("Observation?date=lt1950-01-01&_count=20"),
    _as_written("Observation?patient.family={family}&_count=20"),
    _as_written("Patient?_has:Condition:patient:code={Condition.code}&_count=20"),
    _as_written("Encounter?participant=Practitioner/{Practitioner}&_count=10&_include=Encounter:subject"),
    _as_written("Patient?family={family}&_revinclude=Condition:patient&_count=5"),
    _as_written("Observation?category=vital-signs&_count=1&_total=accurate"),
)
