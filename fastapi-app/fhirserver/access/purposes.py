"""For which purposes data is asked for, and breaking the glass.

The codes are those of https://terminology.hl7.org/ValueSet-v3-PurposeOfUse.html. A caller without one treats somebody.
"""

from dataclasses import dataclass, replace

from fhirserver.access.caller import Caller
from fhirserver.access.consents.rules import PURPOSES
from fhirserver.fhir.outcomes import Forbidden, InvalidRequest
from fhirserver.fhir.terminology import BuiltIn

BREAK_GLASS = "server/break-glass"
"""The scope of roles that may break the glass."""

BREAKING = frozenset({"BTG", "ETREAT"})
"""Who asks for these purposes breaks the glass: labels and Consents keep nothing from them."""

_TREATMENT = "TREAT"
_SHORTEST_REASON, _LONGEST_REASON = 3, 500


@dataclass(frozen=True, slots=True)
class Purposes:
    """The purposes of use, each with the wider ones that it is a kind of."""

    wider: dict[str, frozenset[str]]

    @classmethod
    def load(cls, built_in: BuiltIn) -> "Purposes":
        """From R4's code system."""
        system = built_in.system(PURPOSES)
        assert system is not None
        return cls({code: frozenset({code, *system.above(code)}) for code in system.below("PurposeOfUse")})

    def of(self, code: str | None) -> frozenset[str]:
        """The purpose and the wider ones; of who names none: treatment."""
        return self.wider[code or _TREATMENT]


def asking_for(caller: Caller, purposes: Purposes, code: str, reason: str | None) -> Caller:
    """The caller, who asks for this purpose and, to break the glass, says why.

    Raises `InvalidRequest` for what is no purpose or no reason, `Forbidden` for who may not break the glass.
    """
    code = code.strip().upper()
    if code not in purposes.wider:
        raise InvalidRequest("the header X-Purpose-Of-Use is a code of v3-PurposeOfUse, such as TREAT", code="value")
    if code not in BREAKING:
        return replace(caller, purpose_of_use=code)
    if not caller.may_break_glass:
        raise Forbidden(f"{caller.name} may not break the glass")
    reason = (reason or "").strip()
    if not _SHORTEST_REASON <= len(reason) <= _LONGEST_REASON or not reason.isprintable():
        raise InvalidRequest(
            f"who breaks the glass says why, in the header X-Break-Glass-Reason, with {_SHORTEST_REASON} to"
            f" {_LONGEST_REASON} printable characters",
            code="required",
        )
    return replace(caller, purpose_of_use=code, reason=reason)
