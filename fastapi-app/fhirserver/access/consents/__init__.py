"""Consents that deny: from what stands in them to search trees.

https://hl7.org/fhir/R4/consent.html, and decisions/0019 on how its rules are read.
"""

from fhirserver.access.consents.denials import Asking, Denials
from fhirserver.access.consents.rules import Denial, denial_of, read_denial, refusal_of_all

__all__ = ["Asking", "Denial", "Denials", "denial_of", "read_denial", "refusal_of_all"]
