"""What is checked beyond structure and primitive types: bindings, references, and the rules of single types."""

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial

from fhirserver.fhir.definitions import Binding, Definitions, Element, Property, TypeDefinition
from fhirserver.fhir.terminology import BuiltIn
from fhirserver.fhir.validation.attachments import check_attachment
from fhirserver.fhir.validation.bindings import (
    CONCEPTS,
    SEVERITIES,
    BoundSet,
    bound_primitive,
    code_check,
    concept_check,
    listed_set,
    note_coding,
    required_value,
)
from fhirserver.fhir.validation.bundles import check_bundle
from fhirserver.fhir.validation.extensions import check_url, partner_check
from fhirserver.fhir.validation.invariants import element_constraints, invariant_checks
from fhirserver.fhir.validation.primitives import ABSOLUTE_URI, PRIMITIVES, URN, Primitive
from fhirserver.fhir.validation.properties import PropertyCheck, ValueCheck
from fhirserver.fhir.validation.references import fragment_check, reference_check

_TYPES: Mapping[str, ValueCheck] = {
    "Attachment": check_attachment,
    "Bundle": check_bundle,
    "Extension": check_url,
}
_SPECIAL = {
    # In Bundles that are sent it is urn:uuid: and any word at all.
    "Bundle.entry.fullUrl": PRIMITIVES["uri"],
    # "An absolute URI" by its definition.
    "ValueSet.compose.include.system": ABSOLUTE_URI,
}
_CODES_KEPT = 10_000
_MEDIA_TYPES = "http://hl7.org/fhir/ValueSet/mimetypes"
# CapabilityStatement.format and TestScript name the formats of FHIR by these words.
_FORMATS = frozenset({"xml", "json", "ttl"})
_URIS = frozenset({"canonical", "uri", "url"})


class Rules:
    """The rules that R4 gives to its types and elements: those that make errors or, if `is_full`, all of them."""

    def __init__(self, definitions: Definitions, built_in: BuiltIn, is_full: bool):
        self._definitions = definitions
        self._contains = lru_cache(_CODES_KEPT)(built_in.contains)
        self._is_full = is_full
        self._strengths = frozenset(SEVERITIES) if is_full else frozenset({"required"})
        self._severities = frozenset({"error", "warning"}) if is_full else frozenset({"error"})
        self._bound: dict[Binding, BoundSet] = {}

    def of_type(self, definition: TypeDefinition) -> Sequence[ValueCheck]:
        """The checks of all values of a type."""
        if definition.name == "Coding" and self._is_full:
            return (note_coding,)
        check = _TYPES.get(definition.name)
        return (check,) if check is not None else ()

    def invariants(self, definition: TypeDefinition) -> Sequence[ValueCheck]:
        """The constraints on all values of a type, to be checked where the JSON types are right."""
        return invariant_checks(definition.constraints, definition.name, self._severities, self._definitions)

    def of_element(self, element: Element, type_code: str) -> Sequence[ValueCheck]:
        """The checks of the values of an element that are objects of this type."""
        checks = []
        if type_code == "Reference":
            checks.append(reference_check(element, self._definitions))
        bound = self._bound_set(element)
        if bound is not None and type_code in CONCEPTS:
            checks.append(concept_check(type_code, bound))
        # What is defined in place has its constraints as a type.
        constraints = element_constraints(element) if type_code != element.path else ()
        return checks + invariant_checks(constraints, type_code, self._severities, self._definitions)

    def primitive(self, element: Element, type_code: str, primitive: Primitive) -> Primitive:
        """The primitive type, with no more than the values that the element may have."""
        if type_code in _URIS:
            return _SPECIAL.get(element.path, URN)
        bound = self._required(element)
        return bound_primitive(primitive, bound) if bound is not None else primitive

    def of_primitive(self, name: str, property_: Property) -> PropertyCheck | None:
        """A further check of a property that holds primitives."""
        if property_.type_code in _URIS:
            return fragment_check(name, property_)
        bound = self._bound_set(property_.element)
        if bound is not None and bound.severity != "error":
            return code_check(name, bound)
        return None

    def of_partner(self, name: str, property_: Property) -> PropertyCheck:
        """A further check of `_name`, which holds the extensions of a primitive."""
        bound = self._required(property_.element)
        return required_value(name, bound) if bound is not None else partner_check(name)

    def _required(self, element: Element) -> BoundSet | None:
        """The value set that all codes of an element have to be in."""
        bound = self._bound_set(element)
        return bound if bound is not None and bound.severity == "error" else None

    def _bound_set(self, element: Element) -> BoundSet | None:
        binding = element.binding
        if binding is None or binding.strength not in self._strengths:
            return None
        if binding not in self._bound:
            codes = self._definitions.value_set_codes(binding.value_set)
            if codes is not None:
                self._bound[binding] = listed_set(binding, codes)
            else:
                self._bound[binding] = BoundSet(binding, partial(self._has, binding.value_set))
        return self._bound[binding]

    def _has(self, value_set: str, system: str | None, code: str) -> bool | None:
        if value_set == _MEDIA_TYPES:
            # HL7's own parameters are often without the quotes that they need: they are not looked at.
            code = code.partition(";")[0].rstrip()
            return code in _FORMATS or self._contains(value_set, system, code)
        return self._contains(value_set, system, code)
