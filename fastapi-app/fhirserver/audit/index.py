"""The index entry of an event: what `search/extract.py` would make of it, in a small part of the time.

What the parts that many events share contribute is extracted once and kept; what differs from event to event are
references, identifiers and the time. The words are left out: they would cost as much as the rest, and nobody looks for
an event by the words of its codes.
"""

from collections.abc import Iterator
from datetime import datetime, tzinfo
from functools import lru_cache
from math import floor

from fhirserver.audit import codes
from fhirserver.audit.codes import Code
from fhirserver.audit.content import agents, described, outcome_of, source
from fhirserver.audit.facts import Facts, Touched, Who
from fhirserver.fhir.datatypes.dates import date_interval
from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.resource_json import parse
from fhirserver.search.entry import IndexEntry
from fhirserver.search.extract import Extractor
from fhirserver.search.keys import ParameterKeys, self_key
from fhirserver.search.parameter_types import indexed

_TYPE = "AuditEvent"
_ENTITY, _PATIENT, _DATE = (ParameterKeys(_TYPE, code) for code in ("entity", "patient", "date"))
_MOST = 4096


class EventIndex:
    """Entries of events by these definitions. `observer` is how this server is called in the events."""

    def __init__(self, definitions: Definitions, zone: tzinfo, index_version: int, observer: str):
        self.index_version = index_version
        self._extractor = Extractor(definitions, zone, index_version)
        self._zone = zone
        self._observer = observer
        # What somebody posted may look at several parts of an event at once.
        self._is_quick = all(parameter.source is None for parameter in indexed(definitions, _TYPE).values())
        self._kind_keys = lru_cache(maxsize=_MOST)(self._of_kind)
        self._agents = lru_cache(maxsize=_MOST)(self._of_agents)

    def entry(self, facts: Facts, who: Who, request_id: str, id: str, recorded: datetime, content: bytes) -> IndexEntry:
        """The entry of the event with these facts, which became `content`."""
        if not self._is_quick:
            return self.extracted(content)
        by = self._agents(facts.kind, who)
        keys = set(by.keys)
        parts = (bool(facts.touched), bool(facts.patients), facts.query is not None, facts.about is not None)
        keys.update(self._kind_keys(facts.kind, outcome_of(facts.status), *parts))
        keys.update(
            _ENTITY.token(system, value) for value in (request_id, facts.about) if value for system in (None, "")
        )
        entry = IndexEntry(strings=by.strings, self_key=self_key(_TYPE, id), index_version=self.index_version)
        references = dict.fromkeys(zip(by.ref_key, by.ref_target, strict=True))
        for parameter, touched in _references(facts):
            target = self_key(touched.resource_type, touched.id)
            keys.update((parameter.present, parameter.reference ^ target))
            references[parameter.reference, target] = None
        for reference, target in references:
            entry.ref_key.append(reference)
            entry.ref_target.append(target)
        self._date(recorded, keys, entry)
        entry.keys = sorted(keys)
        return entry

    def extracted(self, content: bytes) -> IndexEntry:
        """The entry of the event with this text."""
        entry = self._extractor.extract(parse(content), _TYPE, self._observer)
        entry.narrative, entry.words = (), ()
        return entry

    def _date(self, recorded: datetime, keys: set[int], entry: IndexEntry) -> None:
        low, high = date_interval(f"{recorded:%Y-%m-%dT%H:%M:%S}.{recorded.microsecond // 1000:03d}Z", self._zone)
        entry.range_key, entry.range_low, entry.range_high = [_DATE.range()], [low], [high]
        entry.sort_date = recorded
        keys.update(_date_keys(datetime.fromtimestamp(floor(low), self._zone).date().isoformat()))

    def _of_kind(
        self, kind: str, outcome: str, has_data: bool, has_patient: bool, asks: bool, about: bool
    ) -> list[int]:
        """The keys of all but agents, references, identifiers and the time."""
        coded: list[dict[str, Code]] = [{"type": codes.REQUEST_ID}]
        if has_data:
            coded.append({"type": codes.SYSTEM_OBJECT, "role": codes.DOMAIN_RESOURCE})
        if has_patient:
            coded.append({"type": codes.PERSON, "role": codes.PATIENT})
        if asks:
            coded.append({"type": codes.SYSTEM_OBJECT, "role": codes.QUERY})
        if about:
            coded.append({"type": codes.SYSTEM_OBJECT, "role": codes.SECURITY_RESOURCE})
        shared = {
            "resourceType": _TYPE,
            "meta": {"tag": [codes.RECORDED.coding()]},
            **described(kind, 200),
            "outcome": outcome,
            "source": source(self._observer),
            "entity": [{name: code.coding() for name, code in entity.items()} for entity in coded],
        }
        return [*self._extractor.extract(shared, _TYPE, self._observer).keys, _ENTITY.present]

    def _of_agents(self, kind: str, who: Who) -> IndexEntry:
        listed = {"resourceType": _TYPE, "agent": list(agents(kind, who, self._observer))}
        return self._extractor.extract(listed, _TYPE, self._observer)


def _references(facts: Facts) -> Iterator[tuple[ParameterKeys, Touched]]:
    """What the events refers to, in the order in which the parameters are indexed."""
    named = [*facts.touched, *(Touched("Patient", id) for id in facts.patients)]
    for touched in named:
        yield _ENTITY, touched
    for touched in named:
        if touched.resource_type == "Patient":
            yield _PATIENT, touched


@lru_cache(maxsize=16)
def _date_keys(day: str) -> tuple[int, ...]:
    return _DATE.present, _DATE.date(day[:4]), _DATE.date(day[:7]), _DATE.date(day)
