"""One clause as each of several types reads it → one tree.

`_tag=a` of Patient and of Observation, two keys → one match of either key. `code=x` where only a range tells →
`(type is A AND …) OR (type is B AND …)`. What is the same for all types stays as it is.
"""

from collections.abc import Mapping

from fhirserver.search.query.tree import NOTHING, KeyMatch, Node, TypeMatch, conjunction, disjunction


def over_types(nodes: Mapping[str, Node]) -> Node:
    """The tree that resources of these types match, each by its own node."""
    different = list(dict.fromkeys(nodes.values()))
    if len(different) == 1:
        return different[0]
    keyed = [node for node in different if isinstance(node, KeyMatch)]
    if len(keyed) == len(different):  # a key tells its type
        keys = tuple(dict.fromkeys(key for node in keyed for key in node.keys))
        return KeyMatch(keyed[0].label, keys, all(node.selective for node in keyed))
    return disjunction(
        conjunction((TypeMatch(tuple(name for name, own in nodes.items() if own == node)), node))
        for node in different
        if node != NOTHING
    )
