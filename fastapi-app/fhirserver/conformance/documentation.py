"""The text that R4 has for a search parameter, cut down to one resource type."""

import re

_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


def documentation(description: str, resource_type: str) -> str:
    """What a parameter means for this type, in one line.

    A parameter that several types share is described as a list such as `* [Patient](patient.html): A name`;
    of that only the type's own line is kept.
    """
    own = ""
    for line in description.splitlines():
        match = re.match(rf"\*\s*\[{resource_type}\]\([^)]*\):\s*(.*)", line)
        if match:
            own = match[1]
    text = own or " ".join(line for line in description.splitlines() if line.strip())
    return _LINK.sub(r"\1", text).strip()
