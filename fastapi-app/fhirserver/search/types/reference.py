"""https://hl7.org/fhir/R4/search.html#reference"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal

from fhirserver.fhir.datatypes.ids import is_id
from fhirserver.fhir.datatypes.references import parse_reference
from fhirserver.fhir.definitions.search_parameters import SearchParameter
from fhirserver.fhir.outcomes import InvalidRequest
from fhirserver.search.entry import EntryBuilder
from fhirserver.search.keys import self_key, target_key
from fhirserver.search.query.tree import HierarchyMatch, KeyMatch, Node, disjunction
from fhirserver.search.types.clause import Clause, Index, Source, unescape
from fhirserver.search.types.token import add_token, token_key

MODIFIERS = ("identifier", "above", "below")

_CANONICAL = frozenset({"canonical", "uri", "url"})


def target_types(parameter: SearchParameter) -> tuple[str, ...]:
    """The types of resource that the parameter can lead to; its expression may say it more narrowly than R4's list."""
    narrow = [name for name in parameter.target_types if f"resolve() is {name})" in (parameter.expression or "")]
    return tuple(narrow) or parameter.target_types


def indexer(source: Source) -> Index | None:
    """References by their target, canonicals with and without their version, logical references by identifier."""
    keys = source.keys

    def add(target: int, entry: EntryBuilder) -> None:
        entry.keys.add(keys.reference ^ target)
        entry.references[keys.reference, target] = None

    def reference(value: Any, entry: EntryBuilder) -> None:
        text = value.get("reference")
        if isinstance(text, str):
            target = parse_reference(text, entry.base_url)
            if target is not None and target.kind == "local":
                add(self_key(str(target.resource_type), str(target.id)), entry)
            elif target is not None and target.url is not None:
                add(target_key(_unversioned(target.url)), entry)
            elif target is not None and target.kind == "contained" and target.id in entry.contained:
                resource_type, number = entry.contained[target.id]
                entry.keys.update(keys.contained(resource_type, place) for place in (None, number))
        identifier = value.get("identifier")
        if isinstance(identifier, dict):
            add_token(keys, identifier.get("system"), identifier.get("value"), entry)

    def canonical(value: Any, entry: EntryBuilder) -> None:
        if not isinstance(value, str):
            return
        for url in {value, value.partition("|")[0]}:
            target = parse_reference(url, entry.base_url)
            local = target is not None and target.kind == "local"
            add(self_key(str(target.resource_type), str(target.id)) if target and local else target_key(url), entry)

    def resource(value: Any, entry: EntryBuilder) -> None:
        if isinstance(value.get("id"), str):
            add(self_key(str(value.get("resourceType")), value["id"]), entry)

    if source.branch.type_name == "Reference":
        return reference
    if source.branch.type_name in _CANONICAL:
        return canonical
    return resource if source.branch.type_name == "Resource" else None


def _unversioned(url: str) -> str:
    """The URL of a resource rather than of one of its versions."""
    target = parse_reference(url)
    return url.partition("/_history/")[0] if target is not None and target.version is not None else url


def local_targets(value: Any, base_url: str) -> Iterable[tuple[str, str]]:
    """The (type, id) that a value of a reference parameter leads to on this server."""
    text = value.get("reference") if isinstance(value, dict) else value
    target = parse_reference(text, base_url) if isinstance(text, str) else None
    if target is not None and target.kind == "local":
        yield str(target.resource_type), str(target.id)


def parse(clause: Clause) -> Node:
    """`Type/id`, `id`, a URL, with `:Type` an id of that type, with `:identifier` a token.

    With `:above` and `:below` what stands above or below it too, where its type has a hierarchy.
    """
    if clause.modifier == "identifier":
        return disjunction(
            KeyMatch(clause.label(value), (token_key(clause, clause.keys, value),), True) for value in clause.values
        )
    match clause.modifier:
        case "above" | "below" as relation:
            return disjunction(_in_hierarchy(clause, value, relation) for value in clause.values)
    return disjunction(
        KeyMatch(
            clause.label(value),
            tuple(
                clause.keys.reference ^ (self_key(*target) if isinstance(target, tuple) else target_key(target))
                for target in asked_targets(clause, value)
            ),
            True,
        )
        for value in clause.values
    )


def _in_hierarchy(clause: Clause, value: str, relation: Literal["above", "below"]) -> Node:
    plain = replace(clause, modifier=None)
    targets = [target for target in asked_targets(plain, value) if isinstance(target, tuple)]
    if all(clause.definitions.hierarchy(name) is None for name, _ in targets):
        raise clause.wrong(value, "a resource of a type with a hierarchy, such as Location")
    parameter = clause.parameter
    return HierarchyMatch(
        clause.label(value), parameter.base, parameter.code, clause.keys.place, relation, tuple(targets)
    )


def asked_targets(clause: Clause, value: str) -> list[tuple[str, str] | str]:
    """What a value of a query can mean: (type, id) of this server, or a URL."""
    text = unescape(value)
    allowed = target_types(clause.parameter)
    wanted = (clause.modifier,) if clause.modifier else allowed
    if clause.modifier and allowed and clause.modifier not in allowed:
        raise InvalidRequest(
            f"{clause.parameter.code} leads to {', '.join(allowed)}, not to {clause.modifier}",
            expression=clause.parameter.code,
            code="value",
        )
    target = parse_reference(text, clause.base_url)
    if target is not None and target.kind == "local":
        found = (str(target.resource_type), str(target.id))
        if clause.modifier and found[0] != clause.modifier:
            raise clause.wrong(value, f"a reference to a {clause.modifier}")
        return [found]
    if is_id(text):
        return [(name, text) for name in wanted if name is not None]
    if target is not None and target.url is not None:
        return [_unversioned(text)]
    raise clause.wrong(value, "an id, Type/id or a URL")
