"""Value sets whose codes are listed, besides those that R4 comes with."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from fhirserver.fhir.terminology.built_in import BuiltIn

Codes = Mapping[str, AbstractSet[str]]


@dataclass(frozen=True)
class ListedSets:
    """Tells at once whether a value set has a code: one of `codes` (by canonical URL, then by code system), or of R4.

    It is for those that can't wait for an answer, as the validation of resources.
    """

    built_in: BuiltIn
    codes: Mapping[str, Codes] = field(default_factory=dict)

    def contains(self, value_set: str, system: str | None, code: str) -> bool | None:
        """As `BuiltIn.contains`; None for a code that is there if it may be written in another way."""
        by_system = self.codes.get(value_set)
        if by_system is None:
            return self.built_in.contains(value_set, system, code)
        listed = by_system.values() if system is None else [by_system.get(system, frozenset())]
        if any(code in codes for codes in listed):
            return True
        lower = code.lower()
        is_alike = any(other.lower() == lower for codes in listed for other in codes)
        return None if is_alike else False
