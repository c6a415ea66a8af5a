import pytest

from fhirserver.fhir.definitions import Definitions

from .evaluate import MADRID, Searcher


@pytest.fixture(scope="session")
def searcher(definitions: Definitions) -> Searcher:
    """With UTC for what has no time zone."""
    return Searcher(definitions)


@pytest.fixture(scope="session")
def in_madrid(definitions: Definitions) -> Searcher:
    """With the time of Madrid (UTC+1, in summer UTC+2) for what has no time zone."""
    return Searcher(definitions, MADRID)
