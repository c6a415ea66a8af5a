"""The index entry of an event: what `search/extract.py` would make of it, in a small part of the time.

What the parts that many events share contribute is extracted once and kept; what differs from event to event are
references, identifiers and the time. The words are left out: they would cost as much as the rest, and nobody looks for
an event by the words of its codes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import lru_cache
from math import floor

from fhirserver.audit import codes
from fhirserver.audit.codes import Code
from fhirserver.audit.content import agents, described, outcome_of, source
from fhirserver.audit.facts import Facts, Who
from fhirserver.fhir.datatypes.dates import date_interval
from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.resource_json import parse
from fhirserver.search.entry import IndexEntry
from fhirserver.search.extract import Extractor
from fhirserver.search.keys import ParameterKeys, self_key
from fhirserver.search.parameter_types import indexed

_TYPE = "AuditEvent"
_ENTITY, _PATIENT, _DATE = (ParameterKeys(_TYPE, code) for code in ("entity", "patient", "date"))
_WHEN = _DATE.range()
_MOST = 4096


@dataclass(frozen=True, slots=True)
class _Shared:
    """What many events have in common; `references` are (key, target)."""

    keys: frozenset[int]
    references: tuple[tuple[int, int], ...]
    strings: str


class EventIndex:
    """Entries of events by these definitions. `observer` is how this server is called in the events."""

    def __init__(self, definitions: Definitions, zone: tzinfo, index_version: int, observer: str):
        self.index_version = index_version
        self._extractor = Extractor(definitions, zone, index_version)
        self._zone = zone
        self._observer = observer
        # What somebody posted may look at several parts of an event at once.
        self._is_quick = all(parameter.source is None for parameter in indexed(definitions, _TYPE).values())
        self._shared = lru_cache(maxsize=_MOST)(self._of_all)

    def entry(
        self, facts: Facts, who: Who, request_id: str, id: str, recorded: datetime, moment: str, content: bytes
    ) -> IndexEntry:
        """The entry of the event with these facts, which became `content`; `moment` is the text of `recorded`."""
        if not self._is_quick:
            return self.extracted(content)
        shared = self._shared(
            facts.kind, outcome_of(facts.status), bool(facts.touched), bool(facts.patients), facts.query is not None,
            facts.about is not None, who, moment[:16],
        )  # fmt: skip
        keys = {_ENTITY.token(None, request_id), _ENTITY.token("", request_id)}
        if facts.about:
            keys.update((_ENTITY.token(None, facts.about), _ENTITY.token("", facts.about)))
        references = dict.fromkeys(shared.references)
        for resource_type, one in _named(facts):
            target = self_key(resource_type, one)
            keys.add(_ENTITY.reference ^ target)
            references[_ENTITY.reference, target] = None
            if resource_type == "Patient":
                keys.update((_PATIENT.present, _PATIENT.reference ^ target))
                references[_PATIENT.reference, target] = None
        low, high = date_interval(moment, self._zone)
        return IndexEntry(
            [*shared.keys, *(keys - shared.keys)], [_WHEN], [low], [high],
            [key for key, _ in references], [target for _, target in references],
            self_key(_TYPE, id), shared.strings, sort_date=recorded, index_version=self.index_version,
        )  # fmt: skip

    def extracted(self, content: bytes) -> IndexEntry:
        """The entry of the event with this text."""
        entry = self._extractor.extract(parse(content), _TYPE, self._observer)
        entry.narrative, entry.words = (), ()
        return entry

    def _of_all(
        self, kind: str, outcome: str, has_data: bool, has_patient: bool, asks: bool, about: bool, who: Who, minute: str
    ) -> _Shared:
        """What the events of this kind, of this caller, in this minute (`2026-01-31T09:30`) have in common."""
        entry = self._of_agents(kind, who)
        keys = {*entry.keys, *self._of_kind(kind, outcome, has_data, has_patient, asks, about)}
        start = date_interval(f"{minute}:00Z", self._zone)[0]
        day = datetime.fromtimestamp(floor(start), self._zone).date().isoformat()
        keys.update((_DATE.present, _DATE.date(day[:4]), _DATE.date(day[:7]), _DATE.date(day)))
        return _Shared(frozenset(keys), tuple(zip(entry.ref_key, entry.ref_target, strict=True)), entry.strings)

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
        listed = {"resourceType": _TYPE, "agent": agents(kind, who, self._observer)}
        return self._extractor.extract(listed, _TYPE, self._observer)


def _named(facts: Facts) -> Iterator[tuple[str, str]]:
    """(type, id) of what the event refers to."""
    for touched in facts.touched:
        yield touched.resource_type, touched.id
    for patient in facts.patients:
        yield "Patient", patient
