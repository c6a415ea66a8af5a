"""How much the reads of a Bundle may be answered with together.

A small Bundle can ask for the largest page of a search a hundred thousand times, and all answers are held until the
last one is there.
"""

from fhirserver.fhir.bundle_json import BundleEntry
from fhirserver.fhir.outcomes import TooLarge

LARGEST = 64 * 1024 * 1024


class Room:
    """The room that is left, in bytes. What is under way when it ends may go beyond it."""

    def __init__(self, size: int = LARGEST):
        self._left = self._size = size

    def require(self) -> None:
        """`TooLarge` if there is none left."""
        if self._left <= 0:
            raise TooLarge(f"the answers to the entries before have more than {self._size} bytes; ask for less at once")

    def take(self, answered: BundleEntry) -> BundleEntry:
        """The answer, which takes its room."""
        self._left -= len(answered.resource or b"")
        return answered
