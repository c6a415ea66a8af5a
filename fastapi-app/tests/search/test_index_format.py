"""What resources are indexed as does not change unnoticed: what is stored would have to be indexed anew."""

import gzip
import hashlib
import json
from datetime import UTC
from pathlib import Path

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.resource_json import parse
from fhirserver.search.entry import INDEX_FORMAT
from fhirserver.search.extract import Extractor

SAMPLE = Path(__file__).parents[2] / "sample"
DIGESTS = {1: "e4366a7431cc1fc87d77254d15717ff7831c87b1c3306f697640531faf73509d"}


def test_the_format_goes_up_when_entries_change(definitions: Definitions) -> None:
    """If this fails because entries are meant to differ from now on: raise `INDEX_FORMAT` by one, and add its digest.

    Then servers index everything anew after the upgrade. As long as a format is in no release, its digest may change.
    """
    extractor = Extractor(definitions, UTC)
    digest = hashlib.sha256()
    for file in sorted(SAMPLE.glob("*.json.gz")):
        for item in parse(gzip.decompress(file.read_bytes()))["entry"]:
            entry = extractor.extract(item["resource"], item["resource"]["resourceType"], "http://test/fhir")
            ranges = sorted(zip(entry.range_key, entry.range_low, entry.range_high, strict=True))
            references = sorted(zip(entry.ref_key, entry.ref_target, strict=True))
            strings = [sorted(text.split("\x1e")) for text in (entry.strings, entry.texts)]
            words = [list(entry.narrative), list(entry.words)]
            values = [entry.keys, ranges, references, entry.self_key, strings, words, str(entry.sort_date)]
            digest.update(json.dumps(values).encode())
    assert digest.hexdigest() == DIGESTS[INDEX_FORMAT]
