"""A request → one text for all spellings of it, to key locks by.

`active=true&identifier=s|ABC`, `identifier=s|abc&active=true` → the same text: order and repetition don't count, and of
a clause what it compares counts, not how it was written. Criteria that overlap without being equal (`identifier=abc`
and `identifier=s|abc`) stay different.
"""

from collections.abc import Iterable

from fhirserver.search.query.tree import (
    And,
    Chain,
    CodedMatch,
    Has,
    HierarchyMatch,
    IdMatch,
    InBuckets,
    KeyMatch,
    Linked,
    NearMatch,
    Node,
    Not,
    Or,
    RangeMatch,
    StringMatch,
    TextMatch,
    TypeMatch,
    UpdatedMatch,
    WordMatch,
)
from fhirserver.search.request import SearchRequest


def canonical(request: SearchRequest) -> str:
    """The text of what is asked for, whatever the order, the page and the includes."""
    return f"{request.resource_type} {_node(request.tree)}"


def _node(node: Node) -> str:
    match node:
        case KeyMatch(keys=keys):
            return _all("key", map(str, keys))
        case RangeMatch(key=key, alternatives=alternatives):
            return _all(f"range {key}", (_all("all", map(str, tests)) for tests in alternatives))
        case StringMatch(parameter=parameter, how=how, text=text):
            return f"{how}({parameter},{text!r})"
        case TextMatch() | WordMatch() | NearMatch() | CodedMatch() | HierarchyMatch():
            return str(node)
        case TypeMatch(types=types):
            return _all("type", types)
        case IdMatch(ids=ids):
            return _all("id", ids)
        case UpdatedMatch(alternatives=moments):
            return _all(
                "updated",
                (_all("all", (f"{sign}{moment.isoformat()}" for sign, moment in tests)) for tests in moments),
            )
        case InBuckets(buckets=buckets):
            return _all("bucket", map(str, buckets))
        case Chain(reference=reference, targets=targets):
            return _all(f"chain {reference}", map(_linked, targets))
        case Has(reference=reference, source=source):
            return f"has {reference}({_linked(source)})"
        case And(parts=parts):
            return _joined("and", parts)
        case Or(parts=parts):
            return _joined("or", parts)
        case Not(part=part):
            return f"not({_node(part)})"


def _linked(linked: Linked) -> str:
    return f"{linked.resource_type}({_node(linked.node)})"


def _joined(name: str, parts: Iterable[Node]) -> str:
    """Parts that are all the same are one, which stands for itself."""
    texts = {_node(part) for part in parts}
    return texts.pop() if len(texts) == 1 else _all(name, texts)


def _all(name: str, texts: Iterable[str]) -> str:
    return f"{name}({','.join(sorted(set(texts)))})"
