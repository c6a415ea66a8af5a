"""Security labels: what is labelled as sensitive is for those who have the clearance for it.

https://hl7.org/fhir/R4/security-labels.html. The clearance stands among the scopes of a role, as
`server/clearance.R`, or of a system that has tokens of its own. People have it, whatever program or app they use; its
scopes can leave labels out (`user/*.rs?_security:not=…|R`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from fhirserver.fhir.definitions import Definitions
from fhirserver.search.keys import ParameterKeys
from fhirserver.search.query.tree import EVERYTHING, KeyMatch, Node, Not

CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
LEVELS = ("U", "L", "M", "N", "R", "V")
"""The codes of confidentiality, each more than the one before."""

_CLEARANCE = "server/clearance."


@dataclass(frozen=True, slots=True)
class Label:
    """A code of `meta.security`. A clearance names it by its code."""

    system: str
    code: str


RESTRICTED = (Label(CONFIDENTIALITY, "R"), Label(CONFIDENTIALITY, "V"))


def parse_labels(text: str) -> tuple[Label, ...]:
    """Labels as `system|code`, separated by commas. ValueError for what is not one."""
    labels = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        system, separator, code = item.partition("|")
        if not (system and separator and code):
            raise ValueError(f"'{item[:100]}' is not a label such as {CONFIDENTIALITY}|R")
        labels.append(Label(system, code))
    return tuple(labels)


def is_clearance(scope: str) -> bool:
    """Whether the scope is about labels."""
    return scope.startswith(_CLEARANCE)


def clearance_of(scopes: Iterable[str]) -> frozenset[str]:
    """The codes of the labels that these scopes clear; who is cleared for V is so for R, too."""
    codes = {scope.removeprefix(_CLEARANCE) for scope in scopes if is_clearance(scope)}
    highest = max((LEVELS.index(code) for code in codes if code in LEVELS), default=-1)
    return frozenset(codes.union(LEVELS[: highest + 1]))


def unlabelled(definitions: Definitions, resource_type: str, labels: Iterable[Label]) -> Node:
    """The tree of the resources of a type that have none of these labels.

    Definitions, which have a `url` and a `version`, are about nobody: their labels hide nothing.
    """
    hidden = tuple(labels)
    if not hidden or {"url", "version"} <= definitions.search_parameters(resource_type).keys():
        return EVERYTHING
    parameter = ParameterKeys(resource_type, "_security")
    keys = tuple(parameter.token(label.system, label.code) for label in hidden)
    return Not(KeyMatch(f"_security={','.join(label.code for label in hidden)}", keys))
