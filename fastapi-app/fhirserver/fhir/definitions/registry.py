"""All definitions of R4 4.0.1, each read from the data file when it is first asked for."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from fhirserver.fhir.definitions.archive import FHIR_VERSION, PACKAGED, Archive
from fhirserver.fhir.definitions.compartments import Compartment, read_compartments
from fhirserver.fhir.definitions.elements import TypeDefinition, read_types
from fhirserver.fhir.definitions.operations import OperationDefinition, read_operation
from fhirserver.fhir.definitions.placing import (
    find_placing_element,
    find_placing_parameters,
    find_principal_date,
)
from fhirserver.fhir.definitions.search_parameters import SearchParameter, read_search_parameters
from fhirserver.fhir.definitions.value_sets import Codes, read_value_sets


class Definitions:
    """What R4 says. Methods raise KeyError for a type or compartment that R4 does not have.

    Any method may raise DefinitionsCorrupt if its part of the data file is damaged; `verify` reads all.
    """

    fhir_version = FHIR_VERSION

    def __init__(self, archive: Archive):
        self._archive = archive
        self._kinds: dict[str, tuple[str, bool, str | None]] = {
            name: (kind, abstract, base) for name, (kind, abstract, base) in archive.read("index.json")["types"].items()
        }
        self.resource_types: tuple[str, ...] = tuple(
            sorted(n for n, (kind, abstract, _) in self._kinds.items() if kind == "resource" and not abstract)
        )
        self.data_types: tuple[str, ...] = tuple(
            sorted(name for name, (kind, _, _) in self._kinds.items() if kind != "resource")
        )
        self._resource_types = frozenset(self.resource_types)
        self._types: dict[str, TypeDefinition] = {}
        self._search_parameters: dict[str, Mapping[str, SearchParameter]] = {}
        self._placing: dict[str, tuple[str | None, frozenset[str]]] = {}
        self._principal_dates: dict[str, str | None] = {}

    @classmethod
    def load(cls, path: Path | None = None) -> "Definitions":
        """Open the packaged data file, or another. Raises DefinitionsCorrupt."""
        return cls(Archive(path or PACKAGED))

    def verify(self) -> None:
        """Check the whole data file. Raises DefinitionsCorrupt."""
        self._archive.verify()

    def is_resource_type(self, name: str) -> bool:
        """Whether this is one of the resource types that have instances."""
        return name in self._resource_types

    def type(self, name: str) -> TypeDefinition:
        """A resource type, data type, or a type inside one, such as `Observation.component`."""
        found = self._types.get(name)
        if found is None:
            root = name.partition(".")[0]
            if root not in self._kinds:
                raise KeyError(name)
            if root not in self._types:
                self._types.update(read_types(self._archive.read(f"types/{root}.json")))
            found = self._types[name]
        return found

    def search_parameters(self, resource_type: str) -> Mapping[str, SearchParameter]:
        """The search parameters of a resource type by code, inherited ones included."""
        found = self._search_parameters.get(resource_type)
        if found is None:
            own = self._own_search_parameters(resource_type)
            inherited: dict[str, SearchParameter] = {}
            base = self._kinds[resource_type][2]
            while base is not None:
                inherited |= read_search_parameters(self._archive.read(f"search/{base}.json"), resource_type)
                base = self._kinds[base][2]
            found = self._search_parameters[resource_type] = inherited | own
        return found

    @property
    def compartments(self) -> tuple[str, ...]:
        """The codes of the compartments."""
        return tuple(self._compartments)

    def compartment(self, code: str) -> Compartment:
        """A compartment, by the type it is about."""
        return self._compartments[code]

    @cached_property
    def operations(self) -> Mapping[str, OperationDefinition]:
        """R4's own OperationDefinitions by id (`Resource-validate`)."""
        return {item["id"]: read_operation(item) for item in self._archive.read("operations.json")}

    def value_set_codes(self, url: str) -> Codes | None:
        """The codes by system of a value set used in required bindings; None if they cannot be listed."""
        return self._value_sets.get(url.partition("|")[0])

    def placing_element(self, resource_type: str) -> str | None:
        """The single-valued element that refers to the patient in whose record the resource is, if any."""
        return self._placed(resource_type)[0]

    def placing_parameters(self, resource_type: str) -> frozenset[str]:
        """The search parameters that select the placing element and nothing else."""
        return self._placed(resource_type)[1]

    def hierarchy(self, resource_type: str) -> str | None:
        """The code of the parameter that leads from a resource to the one of its type that it is a part of, if any."""
        upwards = (f"{resource_type}.partOf", f"{resource_type}.parent")
        for code, parameter in self.search_parameters(resource_type).items():
            if parameter.expression in upwards and resource_type in parameter.target_types:
                return code
        return None

    def principal_date(self, resource_type: str) -> str | None:
        """The code of the date parameter that says when the thing was; None if the type has none."""
        if resource_type not in self._principal_dates:
            own = self._own_search_parameters(resource_type)
            self._principal_dates[resource_type] = find_principal_date(own, self.type)
        return self._principal_dates[resource_type]

    def _own_search_parameters(self, resource_type: str) -> dict[str, SearchParameter]:
        if self._kinds[resource_type][0] != "resource":
            raise KeyError(resource_type)
        return read_search_parameters(self._archive.read(f"search/{resource_type}.json"), resource_type)

    def _placed(self, resource_type: str) -> tuple[str | None, frozenset[str]]:
        found = self._placing.get(resource_type)
        if found is None:
            parameters = self.search_parameters(resource_type)
            element = find_placing_element(self.type(resource_type), parameters, self._compartments["Patient"])
            found = self._placing[resource_type] = (element, find_placing_parameters(element, parameters))
        return found

    @cached_property
    def _compartments(self) -> dict[str, Compartment]:
        return read_compartments(self._archive.read("compartments.json"))

    @cached_property
    def _value_sets(self) -> dict[str, Codes | None]:
        return read_value_sets(self._archive.read("value_sets.json"))
