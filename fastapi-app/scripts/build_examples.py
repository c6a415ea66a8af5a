"""Takes the resources that the API documentation shows from HL7's examples (CC0), without narrative.

    python scripts/build_examples.py hl7.fhir.r4.examples-4.0.1.tgz

Which ones is `EXAMPLES` in `fhirserver/conformance/examples`.
"""

import sys
import tarfile
from pathlib import Path

from fhirserver.conformance.examples import EXAMPLES, FOLDER
from fhirserver.fhir.resource_json import parse, pretty, serialize


def build(package: Path) -> None:
    """Write one file per example."""
    with tarfile.open(package) as archive:
        for resource_type, name in EXAMPLES.items():
            member = archive.extractfile(f"package/{resource_type}-{name}.json")
            if member is None:
                raise SystemExit(f"{package} has no {resource_type}-{name}.json")
            resource = parse(member.read())
            resource.pop("text", None)
            (FOLDER / f"{resource_type}.json").write_bytes(pretty(serialize(resource)) + b"\n")


if __name__ == "__main__":
    build(Path(sys.argv[1]))
