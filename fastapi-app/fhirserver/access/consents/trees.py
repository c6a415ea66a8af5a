"""A rule of a Consent → the tree of what it denies."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from fhirserver.access.consents.rules import Code, Rule
from fhirserver.access.sensitivity import CONFIDENTIALITY, LEVELS
from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.search.keys import ParameterKeys, self_key
from fhirserver.search.parameter_types import searchable
from fhirserver.search.query.parse import parse_query
from fhirserver.search.query.tree import EVERYTHING, NOTHING, IdMatch, KeyMatch, Node, Not, Or, conjunction
from fhirserver.search.types.reference import target_types

_TYPES = "http://hl7.org/fhir/resource-types"
_PROFILES = "http://hl7.org/fhir/StructureDefinition"
_URLS = frozenset({_PROFILES, "urn:ietf:rfc:3986"})
_NORMAL = LEVELS.index("N")


def all_of(parts: Iterable[Node]) -> Node:
    """The conjunction, without what goes without saying."""
    kept = [part for part in dict.fromkeys(parts) if part != EVERYTHING]
    return NOTHING if NOTHING in kept else conjunction(kept)


def any_of(parts: Iterable[Node]) -> Node:
    """The disjunction, without what can't be."""
    kept = [part for part in dict.fromkeys(parts) if part != NOTHING]
    if EVERYTHING in kept:
        return EVERYTHING
    return kept[0] if len(kept) == 1 else Or(tuple(kept))


def negated(node: Node) -> Node:
    """The opposite."""
    if isinstance(node, Not):
        return node.part
    if node == EVERYTHING:
        return NOTHING
    return EVERYTHING if node == NOTHING else Not(node)


@dataclass(frozen=True, slots=True)
class DeniedOf:
    """What rules deny of the resources of a type. Of their criteria those count that are about data."""

    definitions: Definitions
    resource_type: str
    zone: tzinfo

    def by(self, rule: Rule) -> Node:
        """The tree of what the rule denies."""
        return all_of((self._about(rule)[0], self._decided(rule)))

    def _decided(self, rule: Rule) -> Node:
        """Of what the rule is about, what is denied: where the rules within it disagree, denying comes first."""
        inner = [(*self._about(one), self._decided(one), one) for one in rule.rules]
        denied = any_of(all_of((wide, decided)) for wide, _, decided, _ in inner)
        if not rule.denies:
            return denied
        permitted = any_of(all_of((narrow, negated(decided))) for _, narrow, decided, one in inner if not one.denies)
        return any_of((negated(permitted), denied))

    def _about(self, rule: Rule) -> tuple[Node, Node]:
        """What the rule may be about, and what it is about for certain."""
        criteria = [self._classes(rule.classes), self._coded(rule.codes), self._labelled(rule), self._data(rule)]
        dated = self._dated(rule.dates)
        wide = all_of((*criteria, EVERYTHING if dated is None else dated))
        return wide, NOTHING if rule.is_unclear or dated is None else wide

    def _classes(self, classes: frozenset[Code]) -> Node:
        return any_of(self._class(*item) for item in classes) if classes else EVERYTHING

    def _class(self, system: str, code: str) -> Node:
        if system == _TYPES or (system in _URLS and code.rpartition("/")[0] == _PROFILES):
            name = code.rpartition("/")[2]
            if self.definitions.is_resource_type(name):
                return EVERYTHING if name == self.resource_type else NOTHING
        if system in _URLS:
            return KeyMatch(f"_profile={code}", (ParameterKeys(self.resource_type, "_profile").uri(code),))
        return self._coded(frozenset({(system, code)}))

    def _coded(self, codes: frozenset[Code]) -> Node:
        """What is coded so anywhere: in any element that R4 searches by code."""
        if not codes:
            return EVERYTHING
        keys = tuple(
            ParameterKeys(self.resource_type, name).token(system or None, code)
            for name, parameter in searchable(self.definitions, self.resource_type).items()
            if parameter.type == "token" and not name.startswith("_") and name != "identifier"
            for system, code in sorted(codes)
        )
        return KeyMatch(f"any code={','.join('|'.join(code) for code in sorted(codes))}", keys) if keys else NOTHING

    def _labelled(self, rule: Rule) -> Node:
        if not rule.labels:
            return EVERYTHING
        return any_of(self._label(rule, *label) for label in sorted(rule.labels))

    def _label(self, rule: Rule, system: str, code: str) -> Node:
        """Confidentiality is a high-water mark: who permits R permits less as well, who denies R denies V too.

        What has no label of it is normal (N).
        """
        if system != CONFIDENTIALITY or code not in LEVELS:
            return self._one_of_labels(system, (code,))
        level = LEVELS.index(code)
        higher, lower = LEVELS[level + 1 :], LEVELS[:level]
        if rule.denies:
            return (
                negated(self._one_of_labels(system, lower))
                if level <= _NORMAL
                else self._one_of_labels(system, (code, *higher))
            )
        return (
            negated(self._one_of_labels(system, higher))
            if level >= _NORMAL
            else self._one_of_labels(system, (*lower, code))
        )

    def _one_of_labels(self, system: str, codes: tuple[str, ...]) -> Node:
        if not codes:
            return NOTHING
        parameter = ParameterKeys(self.resource_type, "_security")
        return KeyMatch(f"_security={','.join(codes)}", tuple(parameter.token(system or None, code) for code in codes))

    def _dated(self, dates: tuple[str, str]) -> Node | None:
        """What is of this time by its principal date; None if resources of the type have none."""
        if dates == ("", ""):
            return EVERYTHING
        name = self.definitions.principal_date(self.resource_type)
        if name is None:
            return None
        asked = [(name, prefix + text) for prefix, text in zip(("ge", "le"), dates, strict=True) if text]
        try:
            now = datetime.now(UTC)
            return parse_query(asked, self.resource_type, self.definitions, self.zone, "", lenient=False, now=now).tree
        except InvalidRequest:
            return None

    def _data(self, rule: Rule) -> Node:
        if not rule.data:
            return EVERYTHING
        return any_of(part for item in sorted(rule.data) for part in self._related(*item))

    def _related(self, meaning: str, resource_type: str, id: str) -> Iterable[Node]:
        """The resource itself, but for what it is the author of; and what refers to it, unless it is meant alone."""
        if meaning != "authoredby" and resource_type == self.resource_type:
            yield IdMatch((id,))
        if meaning == "instance":
            return
        target = self_key(resource_type, id)
        keys = tuple(
            ParameterKeys(self.resource_type, name).reference ^ target
            for name, parameter in searchable(self.definitions, self.resource_type).items()
            if parameter.type == "reference" and resource_type in target_types(parameter)
        )
        if keys:
            yield KeyMatch(f"refers to {resource_type}/{id}", keys, selective=True)
