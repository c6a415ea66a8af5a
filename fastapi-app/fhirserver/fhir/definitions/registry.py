"""All definitions of R4 4.0.1, each read from the data file when it is first asked for."""

from collections.abc import Iterable, Mapping
from copy import copy
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
        self._r4_parameters: dict[str, Mapping[str, SearchParameter]] = {}
        self._search_parameters: dict[str, Mapping[str, SearchParameter]] = {}
        self._added: Mapping[str, Mapping[str, SearchParameter]] = {}
        self._pending: Mapping[str, Mapping[str, SearchParameter]] = {}
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

    def derived_resource_types(self, base: str) -> tuple[str, ...]:
        """The resource types that are of this one: itself or, of Resource and DomainResource, all derived from it."""
        return tuple(name for name in self.resource_types if base in self._bases(name))

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

    def with_search_parameters(
        self, ready: Iterable[SearchParameter], pending: Iterable[SearchParameter] = ()
    ) -> "Definitions":
        """R4's definitions with these search parameters more, each for its `base`; all else is shared.

        `pending` are those that resources are to be indexed by, but that can't be searched by yet. R4's own come first
        where a code is taken, and decide alone where resources are placed.
        """
        made = copy(self)
        made._search_parameters = {}
        made._added = _by_base(ready)
        made._pending = _by_base(pending)
        return made

    def search_parameters(self, resource_type: str) -> Mapping[str, SearchParameter]:
        """The search parameters of a resource type by code, inherited and added ones included."""
        found = self._search_parameters.get(resource_type)
        if found is None:
            own = self.r4_search_parameters(resource_type)
            added = self._added.get(resource_type, {})
            found = self._search_parameters[resource_type] = (
                {**own, **{code: parameter for code, parameter in added.items() if code not in own}} if added else own
            )
        return found

    def pending_search_parameters(self, resource_type: str) -> Mapping[str, SearchParameter]:
        """Those that resources of the type are indexed by, by code, but that can't be searched by yet."""
        return self._pending.get(resource_type, {})

    def r4_search_parameters(self, resource_type: str) -> Mapping[str, SearchParameter]:
        """R4's own search parameters of a resource type by code, inherited ones included."""
        found = self._r4_parameters.get(resource_type)
        if found is None:
            own = self._own_search_parameters(resource_type)
            inherited: dict[str, SearchParameter] = {}
            for base in self._bases(resource_type)[1:]:
                inherited |= read_search_parameters(self._archive.read(f"search/{base}.json"), resource_type)
            found = self._r4_parameters[resource_type] = inherited | own
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

    def _bases(self, name: str) -> list[str]:
        """The type and those it is derived from."""
        found = []
        base: str | None = name
        while base is not None:
            found.append(base)
            base = self._kinds[base][2]
        return found

    def _own_search_parameters(self, resource_type: str) -> dict[str, SearchParameter]:
        if self._kinds[resource_type][0] != "resource":
            raise KeyError(resource_type)
        return read_search_parameters(self._archive.read(f"search/{resource_type}.json"), resource_type)

    def _placed(self, resource_type: str) -> tuple[str | None, frozenset[str]]:
        found = self._placing.get(resource_type)
        if found is None:
            parameters = self.r4_search_parameters(resource_type)
            element = find_placing_element(self.type(resource_type), parameters, self._compartments["Patient"])
            found = self._placing[resource_type] = (element, find_placing_parameters(element, parameters))
        return found

    @cached_property
    def _compartments(self) -> dict[str, Compartment]:
        return read_compartments(self._archive.read("compartments.json"))

    @cached_property
    def _value_sets(self) -> dict[str, Codes | None]:
        return read_value_sets(self._archive.read("value_sets.json"))


def _by_base(parameters: Iterable[SearchParameter]) -> Mapping[str, Mapping[str, SearchParameter]]:
    found: dict[str, dict[str, SearchParameter]] = {}
    for parameter in parameters:
        found.setdefault(parameter.base, {})[parameter.code] = parameter
    return found
