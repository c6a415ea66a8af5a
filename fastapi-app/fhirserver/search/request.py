"""A whole search request: the tree, and how its matches are to be given."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from fhirserver.fhir.outcomes import Issue
from fhirserver.search.query.tree import EVERYTHING, Node

_OF_A_PAGE = frozenset({"_count", "_explain", "_total", "_summary", "_elements", "_include", "_revinclude"})


@dataclass(frozen=True, slots=True)
class Link:
    """A step of a chain: along the references with this key, to resources of a type.

    `is_near`: they are always in the bucket of the one that refers to them. `within`: those that match this tree.
    """

    reference: int
    resource_type: str
    is_near: bool
    within: Node | None = None


@dataclass(frozen=True, slots=True)
class Sort:
    """One key of `_sort`.

    `by` tells where the value is: a column (`id`, `last_updated`, `sort_date`), the normalised strings of `parameter`,
    the beginning of its intervals (`key`; of those without one, the end), its value in the content (`json_paths`, in
    SQL/JSON), or, along each of `links`, where the key beside it says.
    """

    parameter: str
    descending: bool
    by: Literal["id", "last_updated", "sort_date", "string", "range", "json", "linked"]
    key: int = 0
    json_paths: tuple[str, ...] = ()
    links: tuple[tuple[Link, "Sort"], ...] = ()

    def __str__(self) -> str:
        return f"{'-' if self.descending else ''}{self.parameter}"


@dataclass(frozen=True, slots=True)
class Include:
    """One `_include` or `_revinclude`: the type that refers, the parameter (`*`: all), and the type referred to."""

    resource_type: str
    parameter: str
    target_type: str | None = None
    iterate: bool = False


@dataclass(frozen=True, slots=True)
class Contained:
    """Contained resources of a type; the tree is about them, each at its place."""

    resource_type: str
    tree: Node


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What is searched for: resources of a type or, if `resource_type` is empty, of `types` (all types if none).

    `path` is the address of the search below the base. `count` is the size of a page, None until `bounded`.
    `contained` tells which contained resources are to be given instead of what they are contained in.
    `applied` are the parameters for the self link, `ignored` the warnings about those that were left out. `buckets`
    are where all matches live, None if that isn't known.
    `restricted` says that `search/rewrite/restrict.py` has narrowed it to what may be seen: the store refuses others.
    """

    resource_type: str
    tree: Node = EVERYTHING
    types: tuple[str, ...] = ()
    path: str = ""
    sort: tuple[Sort, ...] = ()
    count: int | None = None
    total: Literal["none", "estimate", "accurate"] = "none"
    includes: tuple[Include, ...] = ()
    revincludes: tuple[Include, ...] = ()
    summary: str | None = None
    elements: tuple[str, ...] = ()
    cursor: str | None = None
    max_results: int | None = None
    explain: bool = False
    contained: Contained | None = None
    buckets: frozenset[int] | None = None
    applied: tuple[tuple[str, str], ...] = field(default=())
    ignored: Sequence[Issue] = ()
    restricted: bool = False

    def __str__(self) -> str:
        order = f" ORDER BY {','.join(map(str, self.sort))}" if self.sort else ""
        return f"{self.resource_type or ','.join(self.types) or '*'} WHERE {self.tree}{order}"

    @property
    def scope(self) -> str:
        """What the pages of this search have in common: what is asked for, and the order, as the client wrote it."""
        kept = sorted(item for item in self.applied if item[0].partition(":")[0] not in _OF_A_PAGE)
        return repr((self.path, kept, self.sort))

    @property
    def is_everything(self) -> bool:
        """Whether nothing is asked of the resources but their type."""
        return self.tree == EVERYTHING

    def bounded(self, default_count: int, max_count: int) -> "SearchRequest":
        """With a page size that the server allows; the self link tells it if it is less than what was asked for."""
        if self.count is None or self.count <= max_count:
            return replace(self, count=default_count if self.count is None else self.count)
        applied = tuple((name, str(max_count) if name == "_count" else value) for name, value in self.applied)
        return replace(self, count=max_count, applied=applied)
