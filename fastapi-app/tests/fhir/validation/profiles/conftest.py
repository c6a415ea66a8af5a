"""The packages of ../shared, each read once."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.terminology import BuiltIn
from fhirserver.fhir.validation.validator import Validator

from .packages import Package, read_package, validator_of

FILES = {
    "US Core 3.1.1": "us-core-311.tar.xz",
    "US Core 6.1.0": "us-core-610.tar.xz",
    "US Core 7.0.0": "us-core-700.tar.xz",
    "IPA 1.0.0": "ipa_v100.tar.xz",
    "IPS 2.0.0": "hl7.fhir.uv.ips-2.0.0.tgz",
}


@pytest.fixture(scope="session")
def validator(definitions: Definitions, built_in: BuiltIn) -> Validator:
    """That of R4 alone, without its own profiles and extensions."""
    return Validator(definitions, built_in)


@pytest.fixture(scope="session")
def package(shared: Path) -> Callable[[str], Package]:
    """Gives a package by its name."""

    @lru_cache
    def read(name: str) -> Package:
        path = shared / "packages" / FILES[name]
        if not path.is_file():
            pytest.skip(f"SKIPPED FOR LACK OF DATA: there is no {path}")
        return read_package(path)

    return read


@pytest.fixture(scope="session")
def knowing(validator: Validator, package: Callable[[str], Package]) -> Callable[..., Validator]:
    """Gives a validator that knows the packages of these names."""

    @lru_cache
    def make(*names: str) -> Validator:
        return validator_of(validator, *(package(name) for name in names))

    return make
