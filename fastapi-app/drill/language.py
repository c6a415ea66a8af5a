"""The language of the person who reads the report: Spanish where the environment says so, else English."""

import os

_NAMES = ("LC_ALL", "LC_MESSAGES", "LANG")
SPANISH = next((value for name in _NAMES if (value := os.environ.get(name))), "").startswith("es")


def text(english: str, spanish: str) -> str:
    """The one in the reader's language."""
    return spanish if SPANISH else english
