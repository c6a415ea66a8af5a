"""https://hl7.org/fhir/R4/search.html#token"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal

from fhirserver.fhir.datatypes.text import words_of
from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.definitions.elements import Binding
from fhirserver.fhir.definitions.search_parameters import SearchParameter
from fhirserver.fhir.fhirpath.paths import Branch, compile_paths
from fhirserver.search.entry import EntryBuilder
from fhirserver.search.keys import ParameterKeys
from fhirserver.search.query.tree import CodedMatch, KeyMatch, Node, Not, TextMatch, disjunction
from fhirserver.search.types.clause import Clause, Index, Source, split, unescape

MODIFIERS = ("not", "text", "in", "not-in", "above", "below", "of-type")

_MIME_TYPES = "http://hl7.org/fhir/ValueSet/mimetypes"
_PLAIN = frozenset({"code", "string", "id", "uri", "url", "canonical", "oid", "uuid", "markdown"})


def add_token(keys: ParameterKeys, system: Any, code: Any, entry: EntryBuilder) -> None:
    """Index a code by itself and with its system; a system without a code too."""
    found = isinstance(system, str)
    if isinstance(code, str):
        entry.keys.add(keys.token(None, code))
        entry.keys.add(keys.token(system if found else "", code))
    if found:
        entry.keys.add(keys.system(system))


def indexer(source: Source) -> Index | None:
    """Codes, identifiers, booleans and plain values. A code of a required binding has the system of its value set."""
    keys = source.keys
    match source.branch.type_name:
        case "Coding":
            return lambda value, entry: _coding(keys, value, entry)
        case "CodeableConcept":

            def concept(value: Any, entry: EntryBuilder) -> None:
                for coding in value.get("coding", ()):
                    _coding(keys, coding, entry)
                _text(keys, value.get("text"), entry)

            return concept
        case "Identifier":
            return lambda value, entry: _identifier(keys, value, entry)
        case "ContactPoint":
            return lambda value, entry: add_token(keys, None, value.get("value"), entry)
        case "boolean":
            return lambda value, entry: add_token(keys, None, "true" if value is True else "false", entry)
        case name if name in _PLAIN:
            binding = _binding(source.branch, source.definitions)
            if binding is not None and binding.value_set == _MIME_TYPES:
                return lambda value, entry: _mime_type(keys, value, entry)
            systems = _implied_systems(binding, source.definitions)
            if not systems:
                return lambda value, entry: add_token(keys, None, value, entry)

            def code(value: Any, entry: EntryBuilder) -> None:
                add_token(keys, systems.get(value), value, entry)

            return code
    return None


def _coding(keys: ParameterKeys, value: Any, entry: EntryBuilder) -> None:
    if isinstance(value, dict):
        add_token(keys, value.get("system"), value.get("code"), entry)
        _text(keys, value.get("display"), entry)


def _identifier(keys: ParameterKeys, value: Any, entry: EntryBuilder) -> None:
    add_token(keys, value.get("system"), value.get("value"), entry)
    kind = value.get("type")
    if not isinstance(kind, dict):
        return
    _text(keys, kind.get("text"), entry)
    for coding in kind.get("coding", ()):
        if isinstance(coding, dict) and isinstance(coding.get("code"), str) and isinstance(value.get("value"), str):
            entry.keys.add(keys.of_type(str(coding.get("system", "")), coding["code"], value["value"]))


def _text(keys: ParameterKeys, text: Any, entry: EntryBuilder) -> None:
    if isinstance(text, str):
        entry.texts[f"{keys.name}= {' '.join(words_of(text))}"] = None


def _mime_type(keys: ParameterKeys, value: Any, entry: EntryBuilder) -> None:
    add_token(keys, None, value, entry)
    if isinstance(value, str):
        entry.keys.add(keys.under(_without_parameters(value)))


def _without_parameters(mime_type: str) -> str:
    """`text/xml` of `Text/XML; charset=UTF-8`."""
    return mime_type.partition(";")[0].strip().casefold()


def _binding(branch: Branch, definitions: Definitions) -> Binding | None:
    """What the element that a branch selects is bound to, if it has to be."""
    if branch.element_path is None:
        return None
    parent, _, name = branch.element_path.rpartition(".")
    binding = definitions.type(parent).elements[name.removesuffix("[x]")].binding
    return binding if binding is not None and binding.strength == "required" else None


def _implied_systems(binding: Binding | None, definitions: Definitions) -> Mapping[str, str]:
    """The system of each code that a required binding of the element allows."""
    codes = (definitions.value_set_codes(binding.value_set) if binding is not None else None) or {}
    return {code: system for system, listed in codes.items() for code in listed}


@lru_cache(maxsize=1024)
def _is_of_mime_types(parameter: SearchParameter, definitions: Definitions) -> bool:
    """Whether MIME types are what the parameter is about."""
    branches = compile_paths(parameter.expression or "", parameter.base, definitions)
    bindings = [_binding(branch, definitions) for branch in branches]
    return any(binding is not None and binding.value_set == _MIME_TYPES for binding in bindings)


@lru_cache(maxsize=1024)
def is_of_identifiers(parameter: SearchParameter, definitions: Definitions) -> bool:
    """Whether the parameter is about identifiers, which alone have a type for `:of-type`."""
    branches = compile_paths(parameter.expression or "", parameter.base, definitions)
    return any(branch.type_name == "Identifier" for branch in branches)


def parse(clause: Clause) -> Node:
    """`code`, `system|code`, `|code`, `system|`; with `:not`, all resources that none of these applies to.

    With other modifiers a text that goes with the code (`:text`), a value set (`:in`, `:not-in`), a code whose
    hierarchy counts (`:above`, `:below`; below a MIME type are those with parameters), or `system|code|value` of an
    identifier and its type (`:of-type`).
    """
    node = disjunction(_parse_one(clause, value) for value in clause.values)
    return Not(node) if clause.modifier in ("not", "not-in") else node


def _parse_one(clause: Clause, value: str) -> Node:
    match clause.modifier:
        case "text":
            return _parse_text(clause, value)
        case "in" | "not-in":
            return coded(clause, value, "in", unescape(value))
        case "below" if _is_of_mime_types(clause.parameter, clause.definitions):
            key = clause.keys.under(_without_parameters(unescape(value)))
            return KeyMatch(clause.label(value), (key,))
        case "above" | "below" as relation:
            token_key(clause, clause.keys, value)
            return coded(clause, value, relation, value)
        case "of-type":
            parts = [unescape(part) for part in split(value, "|")]
            if len(parts) != 3 or not all(parts[1:]):
                raise clause.wrong(value, "system|code|value")
            return KeyMatch(clause.label(value), (clause.keys.of_type(*parts),), True)
    return KeyMatch(
        clause.label(value), (token_key(clause, clause.keys, value),), clause.parameter.code == "identifier"
    )


def _parse_text(clause: Clause, value: str) -> Node:
    words = words_of(unescape(value))
    if not words:
        raise clause.wrong(value, "a text to look for")
    return TextMatch(clause.keys.name, words)


def coded(clause: Clause, value: str, relation: Literal["in", "above", "below"], what: str) -> Node:
    """The clause whose codes are yet to be found out."""
    return CodedMatch(
        clause.label(value), clause.parameter.base, clause.parameter.code, clause.keys.place, relation, what
    )


def token_key(clause: Clause, keys: ParameterKeys, value: str) -> int:
    """The key that a token of a query stands for."""
    parts = [unescape(part) for part in split(value, "|")]
    if len(parts) > 2 or not any(parts):
        raise clause.wrong(value, "code, system|code, |code or system|")
    if len(parts) == 1:
        return keys.token(None, parts[0])
    system, code = parts
    return keys.token(system, code) if code else keys.system(system)
