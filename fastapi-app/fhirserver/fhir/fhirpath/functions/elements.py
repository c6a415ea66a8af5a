"""The functions that FHIR adds for its elements: extensions, references, profiles.

https://hl7.org/fhir/R4/fhirpath.html#functions
"""

from typing import Any

from fhirserver.fhir.fhirpath import nodes, selection
from fhirserver.fhir.fhirpath.environment import Environment
from fhirserver.fhir.fhirpath.invocation import Function, Invocation
from fhirserver.fhir.fhirpath.members import member
from fhirserver.fhir.fhirpath.nodes import raw, type_of
from fhirserver.fhir.fhirpath.references import resolve_in
from fhirserver.fhir.fhirpath.selection import EMPTY, One, Selection, boolean, computed, several, single


def _extension(call: Invocation) -> Selection:
    """`extension.where(url = …)`"""
    extensions = member(call.source, "extension", call.system)
    if extensions is None:
        return EMPTY
    items, wanted = extensions.many, call.text(call.argument(0))

    def matching(item: Any, env: Environment) -> list[Any]:
        found = items(item, env)
        if not found:
            return found
        url = wanted(item, env)
        return [extension for extension in found if _url(extension) == url]

    types = frozenset({"Extension"})
    if extensions.type_name == "Extension":
        return several(types, matching)
    return several(types, lambda item, env: list(map(raw, matching(item, env))))


def _url(extension: Any) -> Any:
    value = raw(extension)
    return value.get("url") if value.__class__ is dict else None


def _has_extension(call: Invocation) -> Selection:
    return boolean(_extension(call).found)


def _has_value(call: Invocation) -> Selection:
    """Whether there is one primitive, and it has a value."""
    value = _value(call)
    return boolean(lambda item, env: value(item, env) is not None)


def _get_value(call: Invocation) -> Selection:
    value = _value(call)
    types = None if call.source.types is None else frozenset(map(call.system.system_type, call.source.types))
    return single(types, value)


def _value(call: Invocation) -> One:
    name, system = call.source.type_name, call.system
    if name is not None and not system.is_primitive(name):
        return lambda item, env: None
    found = selection.values(call.source, system)
    if call.source.one is not None and name is not None:
        return found.one or (lambda item, env: None)
    items, is_primitive = call.source.many, system.is_primitive
    convert = system.converter(call.source.types)

    def value(item: Any, env: Environment) -> Any:
        present = items(item, env)
        if len(present) != 1 or not is_primitive(name or type_of(present[0])):
            return None
        return convert(present[0])

    return value


def _resolve(call: Invocation) -> Selection:
    """The resources that references, canonicals and URLs lead to; those that can't be found are left out."""
    items = call.source.many

    def resolved(item: Any, env: Environment) -> list[Any]:
        found = [resolve_in(env, raw(reference)) for reference in items(item, env)]
        return [resource for resource in found if resource is not None]

    if call.source.one is None:
        return several(None, resolved)
    get = call.source.one

    def one(item: Any, env: Environment) -> Any:
        reference = get(item, env)
        return None if reference is None else resolve_in(env, raw(reference))

    return single(None, one)


def _html_checks(call: Invocation) -> Selection:
    text = call.text(call.source)

    def checks(item: Any, env: Environment) -> Any:
        value = text(item, env)
        if env.html_checks is None:
            raise call.error("htmlChecks(): there is nothing that checks XHTML")
        return None if value is None else env.html_checks(value)

    return computed(nodes.BOOLEAN, checks)


def _conforms_to(call: Invocation) -> Selection:
    get, profile = selection.value(call.source, call.system, call.place), call.text(call.argument(0))

    def conforms(item: Any, env: Environment) -> Any:
        value, url = get(item, env), profile(item, env)
        if value is None or url is None:
            return None
        answer = None if env.conforms_to is None else env.conforms_to(value, url)
        if answer is None:
            raise call.error(f"conformsTo(): the profile {url[:200]} is not known")
        return answer

    return computed(nodes.BOOLEAN, conforms)


def _slice(call: Invocation) -> Selection:
    items = call.source.many
    profile, name = call.text(call.argument(0)), call.text(call.argument(1))

    def sliced(item: Any, env: Environment) -> list[Any]:
        found, url, slice_name = items(item, env), profile(item, env), name(item, env)
        if env.in_slice is None:
            raise call.error("slice(): there are no profiles")
        if url is None or slice_name is None:
            return []
        return [value for value in found if env.in_slice(raw(value), url, slice_name)]

    return several(call.source.types, sliced)


def _check_modifiers(call: Invocation) -> Selection:
    """The items, if they have no modifier extensions but those named. Raises FhirPathError for others."""
    items = call.source.many
    allowed = [call.text(call.argument(place)) for place in range(len(call.arguments))]

    def checked(item: Any, env: Environment) -> list[Any]:
        found = items(item, env)
        urls = {url(item, env) for url in allowed}
        for element in map(raw, found):
            extensions = element.get("modifierExtension", ()) if element.__class__ is dict else ()
            for extension in extensions:
                if _url(extension) not in urls:
                    raise call.error(f"checkModifiers(): there is a modifier extension {str(_url(extension))[:200]}")
        return found

    return several(call.source.types, checked)


FUNCTIONS = {
    "extension": Function(_extension, 1, 1),
    "hasExtension": Function(_has_extension, 1, 1),
    "hasValue": Function(_has_value),
    "getValue": Function(_get_value),
    "resolve": Function(_resolve),
    "htmlChecks": Function(_html_checks),
    "conformsTo": Function(_conforms_to, 1, 1),
    "slice": Function(_slice, 2, 2),
    "checkModifiers": Function(_check_modifiers, 0, 20),
}
