"""The order of the business versions of code systems, profiles and the like, whose form R4 leaves open.

https://hl7.org/fhir/R4/resource.html#versions
"""

from typing import Any


def order_of_version(version: Any) -> tuple[tuple[int, int, str], ...]:
    """A key by which 2.10 comes after 2.9, and 2024-02 after 2023-12; what is no version comes first."""
    if not isinstance(version, str):
        return ()
    parts = version.replace("-", ".").replace("/", ".").split(".")
    return tuple((1, int(part), "") if part.isascii() and part.isdigit() else (0, 0, part) for part in parts[:20])
