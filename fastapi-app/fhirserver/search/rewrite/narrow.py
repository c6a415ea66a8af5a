"""Conditions about many patients → about those of them whose records can be where the search looks.

`(bucket=7 AND NOT patient is one of 5000 patients)` → the same with the keys of the patients in bucket 7.

What lives in the bucket of its patient (decisions/0002) can be of those patients only, and who asks for one resource,
or within one record, sends one key or none.
"""

from collections.abc import Collection
from dataclasses import replace

from fhirserver.search.query.tree import (
    NOTHING,
    And,
    Chain,
    Has,
    InBuckets,
    KeyMatch,
    Linked,
    Node,
    Not,
    Or,
    PlacedIdMatch,
    PlacedMatch,
)


def narrowed(node: Node, buckets: Collection[int] | None = None) -> Node:
    """The tree that means the same for what is in these buckets (None: anywhere)."""
    match node:
        case PlacedMatch(label=label, by_bucket=by_bucket) if buckets is not None:
            keys = tuple(key for bucket in sorted(buckets) for key in by_bucket.get(bucket, ()))
            return KeyMatch(label, keys) if keys else NOTHING
        case PlacedIdMatch(by_bucket=by_bucket) if buckets is not None:
            ids = tuple(id for bucket in sorted(buckets) for id in by_bucket.get(bucket, ()))
            return PlacedIdMatch(ids, by_bucket) if ids else NOTHING
        case And(parts=parts):
            for part in parts:
                if isinstance(part, InBuckets):
                    buckets = part.buckets if buckets is None else set(buckets).intersection(part.buckets)
            return And(tuple(narrowed(part, buckets) for part in parts))
        case Or(parts=parts):
            return Or(tuple(narrowed(part, buckets) for part in parts))
        case Not(part=part):
            return Not(narrowed(part, buckets))
        case Chain(targets=targets):
            return replace(node, targets=tuple(map(_elsewhere, targets)))
        case Has(source=source):
            return replace(node, source=_elsewhere(source))
    return node


def _elsewhere(linked: Linked) -> Linked:
    return replace(linked, node=narrowed(linked.node))
