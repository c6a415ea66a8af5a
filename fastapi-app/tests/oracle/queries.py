"""Queries drawn from what a world contains: its values, cut, shifted, prefixed and mixed, so that some match."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hypothesis import strategies as st

from fhirserver.fhir.definitions.search_parameters import SearchParameter

from .quantities import measures
from .references import BASE, targets
from .resources import CODES, DATES, NUMBERS, PLACES, SYSTEMS, TIMES, UNITS, URIS, VERSIONS, WORDS
from .search import Oracle
from .spans import PREFIXES
from .texts import escaped, plain, said, strings, tokens, words
from .world import Address

Params = list[tuple[str, str]]
Draw = st.DrawFn

TYPES = (
    "Organization", "Practitioner", "Patient", "Location", "Encounter", "Condition", "Observation", "RiskAssessment",
    "ChargeItem", "MedicationRequest", "Procedure", "ValueSet", "CodeSystem", "List",
)  # fmt: skip
"""In an order in which the later ones refer to the earlier ones."""

_PREFIX = st.sampled_from(("", *PREFIXES))


@dataclass(frozen=True)
class Query:
    """A search of a type, of those of `_type` if it is empty, or of all (`*`) of a compartment.

    `results` are the parameters that say how matches are given, `compartment` the address of what it is about.
    """

    resource_type: str
    params: Params
    results: Params = field(default_factory=list)
    compartment: Address | None = None


class Link(NamedTuple):
    """There are references from a type by a parameter to another type."""

    source: str
    code: str
    target: str


class Queries:
    """Strategies for queries on an oracle's world. `supported` are the parameters that the server names, by type."""

    def __init__(self, oracle: Oracle, supported: Mapping[str, Mapping[str, str]], types: Sequence[str] = TYPES):
        self._types = types
        self._world = oracle.world
        self._oracle = oracle
        self.supported = supported
        self._links = sorted(
            {
                Link(resource_type, code, target["resourceType"])
                for resource_type in TYPES
                for code in self._codes(resource_type, "reference")
                for item in self._world.of_type(resource_type)
                for target in oracle.targets_of(item, code)
            }
        )

    def of_kind(self, kind: str, *modifiers: str, count: int = 1) -> st.SearchStrategy[Query]:
        """Searches by parameters of a parameter type, each with one of the modifiers."""

        @st.composite
        def query(draw: Draw) -> Query:
            resource_type = draw(st.sampled_from([name for name in self._types if self._codes(name, kind)]))
            return Query(resource_type, [self._clause(draw, resource_type, (kind,), modifiers) for _ in range(count)])

        return query()

    def mixed(self, *, linked: bool = False) -> st.SearchStrategy[Query]:
        """Several parameters of all types, some of them repeated; if `linked` with chains and `_has` among them."""

        @st.composite
        def query(draw: Draw) -> Query:
            resource_type = draw(st.sampled_from(self._types))
            params = []
            for _ in range(draw(st.integers(1, 3))):
                if linked and draw(st.booleans()):
                    link = draw(st.sampled_from((self._chain, self._has)))(draw, resource_type, 2)
                    params += [link] if link is not None else []
                else:
                    params.append(self._clause(draw, resource_type, _KINDS, ("", "", "", "not", "missing")))
            return Query(resource_type, params)

        return query()

    def special(self) -> st.SearchStrategy[Query]:
        """`_text`, `_list` and `near`, alone or with another parameter."""

        @st.composite
        def query(draw: Draw) -> Query:
            name = draw(st.sampled_from(("_text", "_list", "near")))
            if name == "near":
                resource_type, value = "Location", _near(draw)
            else:
                resource_type = draw(st.sampled_from(self._types))
                ids = [item["id"] for item in self._world.of_type("List")]
                lists = draw(st.lists(st.sampled_from([*ids, "nobody"]), min_size=1, max_size=3))
                value = _words(draw, 2) if name == "_text" else ",".join(lists)
            params = [(name, value)]
            if draw(st.integers(0, 3)) == 0:
                params.append(self._clause(draw, resource_type, _KINDS, ("", "not")))
            return Query(resource_type, params)

        return query()

    def filtered(self) -> st.SearchStrategy[Query]:
        """`_filter` with and, or, not, parentheses, and references with conditions in brackets."""

        @st.composite
        def query(draw: Draw) -> Query:
            resource_type = draw(st.sampled_from(self._types))
            return Query(resource_type, [("_filter", self._filter(draw, resource_type, draw(st.integers(0, 3))))])

        return query()

    def _filter(self, draw: Draw, resource_type: str, depth: int) -> str:
        form = draw(st.sampled_from(("and", "or", "not", "()", "link"))) if depth else "compare"
        if form in ("not", "()"):
            return f"{'not ' if form == 'not' else ''}({self._filter(draw, resource_type, depth - 1)})"
        if form in ("and", "or"):
            parts = [self._filter(draw, resource_type, depth - 1) for _ in range(2)]
            return f" {form} ".join(parts)
        links = [link for link in self._links if link.source == resource_type]
        if form == "link" and links:
            link = draw(st.sampled_from(links))
            comparison = self._comparison(draw, link.target)
            if (
                self._type_of_link(draw, link.source, link.code, link.target, comparison.split(" ")[0], said=False)
                == ""
            ):
                condition = self._comparison(draw, link.target)
                same = comparison.split(" ")[0] == condition.split(" ")[0]
                return f"{link.code}{f'[{condition}]' if same else ''}.{comparison}"
        return self._comparison(draw, resource_type)

    def _comparison(self, draw: Draw, resource_type: str) -> str:
        code = draw(st.sampled_from([code for code in self._codes(resource_type, *_OPERATORS) if code not in _COLUMNS]))
        parameter = self._world.parameter(resource_type, code)
        assert parameter is not None
        operator = draw(st.sampled_from(_OPERATORS[parameter.type]))
        if operator == "pr":
            return f"{code} pr {draw(st.sampled_from(('true', 'false')))}"
        value = plain(self._value(draw, resource_type, parameter, "below" if operator == "sw" else ""))
        if parameter.type in ("date", "number", "quantity") and value[:2] in PREFIXES:
            value = value[2:]
        if parameter.type == "token" and value.count("|") > 1:
            value = "a"
        is_bare = re.fullmatch(r"[^\s()\[\]\"\\]+", value) and draw(st.booleans())
        return f"{code} {operator} {value if is_bare else json.dumps(value)}"

    def of_types(self) -> st.SearchStrategy[Query]:
        """Searches of several types at once, by parameters that they have in common."""

        @st.composite
        def query(draw: Draw) -> Query:
            types = draw(st.lists(st.sampled_from(self._types), min_size=1, max_size=3, unique=True))
            return Query("", [("_type", ",".join(types)), self._common(draw, types)])

        return query()

    def in_compartments(self) -> st.SearchStrategy[Query]:
        """Searches of a type, or of all, in the compartments of the world's resources."""
        definitions = self._world.definitions
        about = [name for name in definitions.compartments if self._world.of_type(name)]

        @st.composite
        def query(draw: Draw) -> Query:
            compartment = draw(st.sampled_from(about))
            types = [name for name in self._types if definitions.compartment(compartment).params.get(name)]
            address = compartment, draw(st.sampled_from(self._world.of_type(compartment)))["id"]
            if draw(st.integers(0, 3)) == 0:
                codes = ("_id", "_lastUpdated", "_profile", "_security", "_source", "_tag")
                return Query("*", draw(st.sampled_from(([], [self._common(draw, types, codes)]))), [], address)
            resource_type = draw(st.sampled_from(types))
            clause = self._clause(draw, resource_type, _KINDS, ("", "", "not", "missing"))
            return Query(resource_type, draw(st.sampled_from(([], [clause]))), [], address)

        return query()

    def _common(self, draw: Draw, types: Sequence[str], codes: Sequence[str] = ()) -> tuple[str, str]:
        """A parameter that means the same for all of these types, with values of one of them."""
        first, *others = (self.supported[name] for name in types)
        common = {code: kind for code, kind in first.items() if all(other.get(code) == kind for other in others)}
        code = draw(
            st.sampled_from([code for code, kind in common.items() if kind in _KINDS and code in (codes or common)])
        )
        return self._clause(draw, draw(st.sampled_from(types)), (common[code],), ("", "not", "missing"), code)

    def chained(self) -> st.SearchStrategy[Query]:
        """Chains of one to three references, perhaps with a `_has` at the end."""
        return self._linked(self._chain)

    def reversed(self) -> st.SearchStrategy[Query]:
        """`_has`, nested, and with chains inside."""
        return self._linked(self._has)

    def sorted(self) -> st.SearchStrategy[Query]:
        """`_sort` by one to three keys, of all that a type has or of some."""

        @st.composite
        def query(draw: Draw) -> Query:
            resource_type = draw(st.sampled_from(self._types))
            codes = [
                code
                for code, kind in self.supported[resource_type].items()
                if kind in _ORDERED and code not in ("_text", "_content")
            ]
            links = [link for link in self._links if link.source == resource_type]
            if links and draw(st.booleans()):
                link = draw(st.sampled_from(links))
                further = [code for code, kind in self.supported[link.target].items() if kind in _ORDERED]
                codes = [f"{link.code}:{link.target}.{code}" for code in further]
            keys = [
                draw(st.sampled_from(("", "-"))) + code
                for code in draw(st.lists(st.sampled_from(codes), min_size=1, max_size=3, unique=True))
            ]
            params = [self._clause(draw, resource_type, ("token",), ("not",))] if draw(st.booleans()) else []
            return Query(resource_type, params, [("_sort", ",".join(keys))])

        return query()

    def including(self) -> st.SearchStrategy[Query]:
        """`_include` and `_revinclude`, with `:iterate` and target types."""

        @st.composite
        def query(draw: Draw) -> Query:
            resource_type = draw(st.sampled_from(self._types))
            results, reached = [], {resource_type}
            for _ in range(draw(st.integers(1, 4))):
                link = draw(
                    st.sampled_from(
                        [link for link in self._links if reached & {link.source, link.target}] or self._links
                    )
                )
                name = draw(
                    st.sampled_from(
                        ["_include"] * (link.source in reached) + ["_revinclude"] * (link.target in reached)
                        or ["_include"]
                    )
                )
                reached |= {link.source, link.target}
                iterate = draw(st.sampled_from(("", ":iterate")))
                target = draw(st.sampled_from(("", f":{link.target}")))
                results.append((name + iterate, f"{link.source}:{link.code}{target}"))
            params = [self._clause(draw, resource_type, ("token",), ("", "not"))]
            return Query(resource_type, params, results)

        return query()

    def _linked(self, link: Callable[[Draw, str, int], tuple[str, str] | None]) -> st.SearchStrategy[Query]:
        @st.composite
        def query(draw: Draw) -> Query:
            resource_type = draw(st.sampled_from(self._types))
            made = link(draw, resource_type, draw(st.integers(1, 3)))
            return Query(resource_type, [made] if made is not None else [])

        return query().filter(lambda made: bool(made.params))

    def _codes(self, resource_type: str, *kinds: str) -> list[str]:
        """The parameters of some parameter types of which the world has values."""
        return [code for code, kind in self.supported[resource_type].items() if kind in kinds]

    def _clause(
        self, draw: Draw, resource_type: str, kinds: tuple[str, ...], modifiers: tuple[str, ...], code: str = ""
    ) -> tuple[str, str]:
        """A parameter of these types and modifiers, with one or more values; that of this code, if one is given."""
        code = code or draw(st.sampled_from(self._codes(resource_type, *kinds)))
        parameter = self._world.parameter(resource_type, code)
        assert parameter is not None
        allowed = [item for item in modifiers or ("",) if item in _MODIFIERS[parameter.type] and code not in _COLUMNS]
        if not set(_HIERARCHIES) & set(parameter.target_types) and parameter.type == "reference":
            allowed = [item for item in allowed if item not in ("above", "below")]
        if "identifier" not in code:
            allowed = [item for item in allowed if item != "of-type"]
        modifier = draw(st.sampled_from(allowed or [""]))
        if modifier == "[type]":
            modifier = draw(st.sampled_from([name for name in TYPES if name in parameter.target_types] or [""]))
        name = f"{code}:{modifier}" if modifier else code
        if modifier == "missing":
            return name, draw(st.sampled_from(("true", "false")))
        values = [
            self._value(draw, resource_type, parameter, modifier) for _ in range(draw(st.sampled_from((1, 1, 1, 2, 3))))
        ]
        return name, ",".join(values)

    def _value(self, draw: Draw, resource_type: str, parameter: SearchParameter, modifier: str) -> str:
        if parameter.code == "_id":
            return draw(st.sampled_from([item["id"] for item in self._world.of_type(resource_type)] + ["nobody"]))
        if parameter.type == "reference" and modifier in ("above", "below"):
            others = [
                item for name in _HIERARCHIES if name in parameter.target_types for item in self._world.of_type(name)
            ]
            other = draw(st.sampled_from(others))
            return draw(st.sampled_from(("{resourceType}/{id}", "{id}"))).format(**other)
        seen = [value for item in self._world.of_type(resource_type) for value in self._world.values(item, parameter)]
        value = draw(st.sampled_from(seen)) if seen else None
        if parameter.type == "composite":
            return self._composite(draw, resource_type, parameter)
        return _TEXTS[parameter.type](draw, value, parameter, modifier)

    def _composite(self, draw: Draw, resource_type: str, parameter: SearchParameter) -> str:
        """A value of each part, often of the same value of the composite."""
        known = {item.url: item for item in self._world.definitions.search_parameters(resource_type).values()}
        found = [
            [self._world.parts(node, component.expression) for component in parameter.components]
            for item in self._world.of_type(resource_type)
            for node in self._world.nodes(item, parameter)
        ]
        whole = [parts for parts in found if all(parts)]
        parts = draw(st.sampled_from(whole)) if whole else [[None]] * len(parameter.components)
        return "$".join(
            _TEXTS[(part := known[component.definition]).type](draw, draw(st.sampled_from(values)), part, "")
            for component, values in zip(parameter.components, parts, strict=True)
        )

    def _chain(self, draw: Draw, resource_type: str, depth: int) -> tuple[str, str] | None:
        found = [link for link in self._links if link.source == resource_type]
        if not found:
            return None
        link = draw(st.sampled_from(found))
        name, value = self._end(draw, link.target, depth)
        return f"{link.code}{self._type_of_link(draw, resource_type, link.code, link.target, name)}.{name}", value

    def _type_of_link(
        self, draw: Draw, resource_type: str, code: str, target: str, name: str, *, said: bool = True
    ) -> str:
        """`:Type`, or nothing where the next parameter means the same for all types that the chain can lead to."""
        parameter = self._world.parameter(resource_type, code)
        following = re.split(r"[.:]", name)[0]
        kinds = {
            found.type
            for other in (parameter.target_types if parameter is not None else ())
            if (found := self._world.parameter(other, following)) is not None
        }
        return (
            "" if len(kinds) == 1 and following not in _VARIED and (not said or draw(st.booleans())) else f":{target}"
        )

    def _has(self, draw: Draw, resource_type: str, depth: int) -> tuple[str, str] | None:
        found = [link for link in self._links if link.target == resource_type]
        if not found:
            return None
        link = draw(st.sampled_from(found))
        name, value = self._end(draw, link.source, depth)
        return f"_has:{link.source}:{link.code}:{name}", value

    def _end(self, draw: Draw, resource_type: str, depth: int) -> tuple[str, str]:
        """What stands after a link: another link, or a parameter."""
        if depth > 1:
            further = draw(st.sampled_from((self._chain, self._chain, self._has)))(draw, resource_type, depth - 1)
            if further is not None:
                return further
        return self._clause(draw, resource_type, _KINDS, ("", "", "", "not", "missing"))


_OPERATORS: Mapping[str, tuple[str, ...]] = {
    "string": ("eq", "ne", "co", "sw", "ew", "pr"),
    "token": ("eq", "eq", "pr"),
    "reference": ("eq", "eq", "pr"),
    "uri": ("eq", "sw", "pr"),
    "date": (*PREFIXES, "po", "pr"),
    "number": (*PREFIXES, "pr"),
    "quantity": (*PREFIXES, "pr"),
}
_KINDS = ("string", "token", "reference", "date", "number", "quantity", "uri", "composite")
_MODIFIERS: Mapping[str, tuple[str, ...]] = {
    "string": ("", "exact", "contains", "text", "missing"),
    "token": ("", "not", "text", "of-type", "missing"),
    "reference": ("", "identifier", "[type]", "above", "below", "missing"),
    "date": ("", "missing"),
    "number": ("", "missing"),
    "quantity": ("", "missing"),
    "uri": ("", "above", "below", "missing"),
    "composite": ("",),
}
_ORDERED = ("string", "token", "reference", "date", "number", "quantity", "uri")
# The types whose resources are part of others of the same type.
_HIERARCHIES = ("Location", "Organization", "Encounter", "Procedure")
_COLUMNS = ("_id", "_lastUpdated")
# Parameters whose values of one type make no sense for another.
_VARIED = ("_id", "_has")


def _near(draw: Draw) -> str:
    latitude, longitude = draw(st.sampled_from(PLACES))
    # None of these distances is just that of two places, where rounding would decide.
    distance, unit = draw(st.sampled_from((("3", "km"), ("60", "km"), ("500", "m"), ("2", "[mi_i]"), ("7000", "km"))))
    return f"{latitude}|{longitude}|{distance}|{unit}"


def _words(draw: Draw, depth: int) -> str:
    """A query of words."""
    form = draw(st.sampled_from(("and", "or", " ", "not", "()"))) if depth else "word"
    if form == "word":
        word = draw(
            st.sampled_from(("bone", "BONES", "bon*", "liver", "metastases", '"of the liver"', "nothing", "x-ray"))
        )
        return str(word)
    if form in ("not", "()"):
        inner = _words(draw, depth - 1)
        return f"not ({inner})" if form == "not" else f"({inner})"
    return f" {form} ".join((_words(draw, depth - 1), _words(draw, depth - 1)))


def _string(draw: Draw, value: Any, parameter: SearchParameter, modifier: str) -> str:
    text = draw(st.sampled_from([*list(strings(value)) * 2, draw(st.sampled_from(WORDS))]))
    how = draw(st.sampled_from(("as it is", "start", "middle", "upper")))
    if how == "start" or (how == "middle" and modifier != "contains"):
        text = text[: draw(st.integers(1, len(text)))]
    elif how == "middle":
        start = draw(st.integers(0, len(text) - 1))
        text = text[start : draw(st.integers(start + 1, len(text)))]
    elif how == "upper":
        text = text.upper()
    return escaped(text if text.strip() else "x")


def _token(draw: Draw, value: Any, parameter: SearchParameter, modifier: str) -> str:
    if modifier == "text":
        texts = [text for text in [*said(value), *WORDS] if words(text)]
        text = draw(st.sampled_from([*texts[: len(list(said(value)))] * len(WORDS), *texts]))
        return escaped(text[: draw(st.integers(1, len(text)))] if words(text[:1]) else text)
    if modifier == "of-type":
        kind = value.get("type", {}).get("coding", []) if isinstance(value, dict) else []
        coding = draw(st.sampled_from([*kind * 4, {"system": SYSTEMS[0], "code": "a"}]))
        parts = (
            coding.get("system", SYSTEMS[0]),
            coding["code"],
            value.get("value", "a") if isinstance(value, dict) else "a",
        )
        return "|".join(map(escaped, parts))
    found = list(tokens(value, {}))
    system, code = draw(st.sampled_from([*found * 4, (draw(st.sampled_from(SYSTEMS)), draw(st.sampled_from(CODES)))]))
    form = draw(st.sampled_from(("code", "code", "both", "none", "system", "upper")))
    if code is None or (form == "system" and system):
        return f"{escaped(system or SYSTEMS[0] or '')}|"
    if form == "both":
        return f"{escaped(system or '')}|{escaped(code)}"
    return f"|{escaped(code)}" if form == "none" else escaped(code.upper() if form == "upper" else code)


def _reference(draw: Draw, value: Any, parameter: SearchParameter, modifier: str) -> str:
    if modifier == "identifier":
        return _token(draw, value.get("identifier") if isinstance(value, dict) else None, parameter, "")
    found = targets(value) if value is not None else []
    target = draw(st.sampled_from([*found * 4, ((parameter.target_types or ("Patient",))[0], "nobody")]))
    if isinstance(target, str):
        return escaped(target)
    if modifier:
        return str(target[1])
    form = draw(st.sampled_from(("{1}", "{0}/{1}", "{0}/{1}", f"{BASE}/{{0}}/{{1}}", "http://elsewhere/fhir/{0}/{1}")))
    return form.format(*target)


def _date(draw: Draw, value: Any, parameter: SearchParameter, modifier: str) -> str:
    seen = re.findall(r"\d{4}-?[\dT:.Z+-]*", str(value)) if value is not None else []
    text = draw(st.sampled_from([*seen, draw(st.sampled_from(DATES + TIMES))]))
    length = draw(st.sampled_from([length for length in (4, 7, 10) if length < len(text)] + [len(text)]))
    return draw(_PREFIX) + text[:length]


def _number_text(draw: Draw, value: Any) -> str:
    text = draw(st.sampled_from([str(value), draw(st.sampled_from(NUMBERS)), "1e2", "1.0e2", "5e0"]))
    if "e" not in text and draw(st.integers(0, 3)) == 0:
        text = draw(st.sampled_from((f"{text}0" if "." in text else f"{text}.0", text.partition(".")[0])))
    return draw(_PREFIX) + text


def _number(draw: Draw, value: Any, parameter: SearchParameter, modifier: str) -> str:
    if isinstance(value, dict):
        value = (value.get("low") or value.get("high") or {}).get("value", 1)
    return _number_text(draw, 1 if value is None else value)


def _quantity(draw: Draw, value: Any, parameter: SearchParameter, modifier: str) -> str:
    found = next(measures(value), None)
    finite = [bound[0] for bound in found.span if abs(bound[0]) != float("inf")] if found else []
    number = _number_text(draw, float(finite[0]) if finite else 1)
    unit: Mapping[str, Any] = found._asdict() if found and draw(st.booleans()) else draw(st.sampled_from(UNITS))
    form = draw(st.sampled_from(("number", "system", "code", "unit")))
    if form == "system" and unit.get("system") and unit.get("code"):
        return f"{number}|{unit['system']}|{unit['code']}"
    if form in ("code", "unit") and unit.get(form):
        return f"{number}||{unit[form]}"
    return number


def _uri(draw: Draw, value: Any, parameter: SearchParameter, modifier: str) -> str:
    pool = draw(st.sampled_from(URIS)) + draw(st.sampled_from(VERSIONS))
    uri = draw(st.sampled_from([str(value), pool] if value is not None else [pool]))
    if modifier:
        parts = (uri if "://" in uri else URIS[2]).split("/")
        uri = "/".join(parts[: draw(st.integers(3, len(parts)))])
        uri += "" if "|" in uri else draw(st.sampled_from(("", "", "/", "/more")))
    return escaped(uri)


_TEXTS: Mapping[str, Callable[[Draw, Any, SearchParameter, str], str]] = {
    "string": _string,
    "token": _token,
    "reference": _reference,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
    "uri": _uri,
}
