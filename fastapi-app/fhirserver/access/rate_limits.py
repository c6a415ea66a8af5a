"""How often somebody may ask: so many requests in a minute, by who they are and by where they come from.

Counting is local and takes no time; a process that shares its counts with others (`shared`) does so in between.
"""

from collections.abc import Callable
from dataclasses import dataclass

MINUTE = 60.0
_MOST_SUBJECTS = 50_000


@dataclass(slots=True)
class _Window:
    """The count of this minute, that of the one before, and what others have counted."""

    begin: float
    count: int = 0
    previous: int = 0
    shared: int = 0
    unshared: int = 0


class RateLimit:
    """A sliding minute: the count of this one, and of the one before as much as still reaches into the last 60 s.

    `limit` 0 is none. `clock` gives seconds.
    """

    def __init__(self, limit: int, clock: Callable[[], float]):
        self._limit = limit
        self._clock = clock
        self._windows: dict[str, _Window] = {}

    def wait(self, subject: str) -> int:
        """Count a request. 0 if it may be answered, else the seconds after which one may be."""
        if not self._limit:
            return 0
        now = self._clock()
        window = self._windows.get(subject)
        if window is None:
            if len(self._windows) >= _MOST_SUBJECTS:
                self._forget(now)
            window = self._windows[subject] = _Window(now - now % MINUTE)
        age = now - window.begin
        if age >= MINUTE:
            total = window.count + window.shared
            window.previous = total if age < 2 * MINUTE else 0
            window.begin, window.count, window.shared, window.unshared = now - now % MINUTE, 0, 0, 0
            age = now - window.begin
        used = window.count + window.shared + window.previous * (1 - age / MINUTE)
        if used >= self._limit:
            return max(1, round(MINUTE - age))
        window.count += 1
        window.unshared += 1
        return 0

    def take_unshared(self) -> dict[tuple[str, int], int]:
        """What was counted since this was last asked, by subject and minute."""
        counted = {}
        for subject, window in self._windows.items():
            if window.unshared:
                counted[subject, int(window.begin // MINUTE)] = window.unshared
                window.unshared = 0
        return counted

    def share(self, totals: dict[tuple[str, int], int]) -> None:
        """What all processes together have counted, by subject and minute."""
        for (subject, minute), total in totals.items():
            window = self._windows.get(subject)
            if window is not None and int(window.begin // MINUTE) == minute:
                window.shared = max(0, total - window.count + window.unshared)

    def _forget(self, now: float) -> None:
        """Make room: what was not asked for in the last two minutes goes, or everything."""
        kept = {key: window for key, window in self._windows.items() if now - window.begin < 2 * MINUTE}
        self._windows = kept if len(kept) < _MOST_SUBJECTS else {}
