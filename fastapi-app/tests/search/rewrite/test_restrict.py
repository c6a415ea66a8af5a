"""Restricting: what may not be seen is kept out at every resource that a search touches."""

from dataclasses import replace

import pytest

from fhirserver.search.query.tree import NOTHING, And, IdMatch, InBuckets, Node, Not, Or
from fhirserver.search.rewrite.restrict import buckets_of, restrict

from ..evaluate import Searcher

SEEN: dict[str, Node | None] = {
    "Observation": IdMatch(("o",)),
    "Patient": IdMatch(("p",)),
    "Practitioner": None,
    "Organization": NOTHING,
}

TYPES = tuple(SEEN)


@pytest.mark.parametrize(
    ("resource_type", "name", "value", "expected"),
    [
        ("Observation", "status", "final", "(status=final AND _id=o)"),  # the matches themselves
        ("Practitioner", "active", "true", "active=true"),  # None restricts nothing
        ("Organization", "active", "true", "(active=true AND nothing)"),  # NOTHING is found
        (
            "Observation",
            "patient.gender",
            "male",
            "(Observation.patient -> Patient((gender=male AND _id=p)) AND _id=o)",
        ),
        (
            "Observation",
            "patient.general-practitioner:Organization.name",
            "x",
            "(Observation.patient -> Patient((Patient.general-practitioner:Organization -> Organization((name starts 'x'"
            " AND nothing)) AND _id=p)) AND _id=o)",
        ),  # at each step of a chain
        (
            "Patient",
            "_has:Observation:patient:code",
            "x",
            "(_has:Observation:patient <- Observation((code=x AND _id=o)) AND _id=p)",
        ),  # at the other end of _has
    ],
)
def test_each_resource_is_restricted(searcher: Searcher, resource_type: str, name: str, value: str, expected: str):
    request = restrict(searcher.parse(resource_type, (name, value)), SEEN.get, TYPES)
    assert request.restricted
    assert str(request.tree) == expected


def test_a_negation_keeps_the_restriction_inside(searcher: Searcher):
    request = searcher.parse("Observation", ("patient.gender", "male"))
    negated = restrict(replace(request, tree=Not(request.tree)), SEEN.get, TYPES)
    assert str(negated.tree) == "(NOT Observation.patient -> Patient((gender=male AND _id=p)) AND _id=o)"


def test_of_several_types_each_is_restricted_by_its_own(searcher: Searcher):
    request = searcher.parse("", ("_type", "Observation,Patient,Organization"), ("_lastUpdated", "gt2024"))
    tree = str(restrict(request, SEEN.get, TYPES).tree)
    assert tree.endswith(" AND ((_type=Observation AND _id=o) OR (_type=Patient AND _id=p)))")
    of_all = restrict(searcher.parse("", ("_lastUpdated", "gt2024")), SEEN.get, TYPES)
    assert "_type=Practitioner" in str(of_all.tree)
    assert "Organization" not in str(of_all.tree)


HERE, THERE, X = InBuckets((1, 2)), InBuckets((2, 3)), IdMatch(("x",))


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (HERE, {1, 2}),
        (X, None),
        (And((HERE, X)), {1, 2}),
        (And((HERE, THERE)), {2}),
        (Or((HERE, THERE)), {1, 2, 3}),
        (Or((HERE, X)), None),  # the other alternative is anywhere
        (Or((And((HERE, X)), THERE)), {1, 2, 3}),
        (Not(HERE), None),
        (NOTHING, set()),  # no shard has to be asked
    ],
    ids=str,
)
def test_where_all_matches_live(tree: Node, expected: set[int] | None):
    assert buckets_of(tree) == expected


def test_a_restriction_to_a_bucket_narrows_the_buckets_of_the_query(searcher: Searcher):
    request = replace(searcher.parse("Observation", ("status", "final")), buckets=frozenset({2, 4}))
    assert restrict(request, lambda _: HERE, TYPES).buckets == {2}
    assert restrict(request, lambda _: X, TYPES).buckets == {2, 4}
