"""The server and the oracle, asked the same."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fhirserver.fhir.resource_json import parse, serialize

from .answers import in_order, included, sort_values
from .queries import TYPES, Params, Queries, Query
from .resources import Maker
from .search import Oracle, address_of
from .world import Resource, World

PAGE = 1000


@dataclass(frozen=True)
class Single:
    """A resource, and queries for it."""

    resource: Resource
    queries: list[Query]
    oracle: Oracle = field(repr=False)


class Both:
    """Compares answers. `tag` is what all resources of the oracle's world have, and no others."""

    def __init__(self, client: httpx.AsyncClient, oracle: Oracle, queries: Queries, tag: str, cases: int):
        self._client = client
        self.oracle = oracle
        self.queries = queries
        self._tag = tag
        self._cases = cases
        self.counted: Counter[str] = Counter()

    async def cases(self, strategy: st.SearchStrategy[Any], share: float, check: Callable[[Any], Any]) -> None:
        """Run an asynchronous check with a share of all examples, of which Hypothesis shrinks the first that fails."""
        loop = asyncio.get_running_loop()
        self.counted.clear()

        @settings(
            max_examples=max(1, round(share * self._cases)),
            deadline=None,
            derandomize=True,
            database=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def run(example: Any) -> None:
            asyncio.run_coroutine_threadsafe(check(example), loop).result()

        await asyncio.to_thread(run)

    async def get(self, query: Query, *more: tuple[str, str], tag: str = "") -> dict[str, Any]:
        """The server's answer."""
        params = [*query.params, *query.results, ("_tag", tag or self._tag), *more]
        answer = await self._client.get(f"{place(query)}?{urlencode(params)}")
        assert answer.status_code == 200, f"{written(query)}\nthe server says {answer.text}"
        return parse(answer.content)

    async def matches_agree(self, query: Query) -> None:
        """Server and oracle find the same."""
        bundle = await self.get(query, ("_count", str(PAGE)))
        served = {address_of(entry["resource"]): entry["resource"] for entry in bundle.get("entry", [])}
        matches = self.oracle.matches(query.resource_type, query.params, query.compartment)
        expected = {address_of(item): item for item in matches}
        self.counted["some" if expected else "none"] += 1
        missing = [expected[address] for address in sorted(expected.keys() - served.keys())]
        beyond = [served[address] for address in sorted(served.keys() - expected.keys())]
        if missing or beyond:
            raise AssertionError(
                "\n".join(
                    [
                        written(query),
                        *(f"only the oracle: {self._described(item, query.params)}" for item in missing[:3]),
                        *(f"only the server: {self._described(item, query.params)}" for item in beyond[:3]),
                    ]
                )
            )
        assert len(bundle.get("entry", [])) == len(served), f"{written(query)}\nsomething comes twice"
        assert bundle["total"] == len(served), f"{written(query)}\nthe total is {bundle['total']}"

    def single(self) -> st.SearchStrategy[Single]:
        """A resource of any type that is shrunk as well as the query for it."""
        definitions = self.oracle.world.definitions
        system, code = self._tag.split("|")
        tag = {"system": system, "code": f"{code}-single"}
        # When it was updated, only the server knows.
        supported = {
            name: {parameter: kind for parameter, kind in parameters.items() if parameter != "_lastUpdated"}
            for name, parameters in self.queries.supported.items()
        }

        @st.composite
        def single(draw: st.DrawFn) -> Single:
            resource_type = draw(st.sampled_from(TYPES))
            maker = Maker(definitions, draw(st.randoms(use_true_random=False)))
            resource = maker.resource(resource_type, [tag]) | {"id": "single"}
            oracle = Oracle(World(definitions, iter([resource])), self.oracle.now)
            queries = Queries(oracle, supported, [resource_type])
            return Single(resource, draw(st.lists(queries.mixed(), min_size=3, max_size=3)), oracle)

        return single()

    async def single_agrees(self, single: Single) -> None:
        """Server and oracle find the same resource by the same queries."""
        address = "/".join(address_of(single.resource))
        answer = await self._client.put(address, content=serialize(single.resource))
        assume(answer.status_code in (200, 201))
        for query in single.queries:
            more = ("_id", "single"), ("_total", "accurate"), ("_count", "1")
            found = (await self.get(query, *more, tag=f"{self._tag}-single"))["total"]
            expected = len(single.oracle.matches(query.resource_type, query.params))
            self.counted["some" if expected else "none"] += 1
            assert found == expected, f"{written(query)}\nthe server finds {found}, the oracle {expected}"

    async def order_agrees(self, query: Query) -> None:
        """The server's order is one that the oracle takes for sorted, and pages have all of it, each match once."""
        sort = query.results[0][1]
        whole = [entry["resource"] for entry in (await self.get(query, ("_count", str(PAGE)))).get("entry", [])]
        self.counted["some" if len(whole) > 1 else "none"] += 1
        assert in_order(self.oracle, whole, sort), "\n".join(
            [written(query), *(f"{item['id']} {sort_values(self.oracle, item, sort)}" for item in whole)]
        )
        paged: list[str] = []
        bundle = await self.get(query, ("_count", str(len(whole) // 3 + 1)), ("_total", "accurate"))
        while True:
            assert bundle["total"] == len(whole), f"{written(query)}\nthe total is {bundle['total']}"
            paged += [entry["resource"]["id"] for entry in bundle.get("entry", [])]
            following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
            if not following:
                break
            bundle = (await self._client.get(following[0])).json()
        assert paged == [item["id"] for item in whole], f"{written(query)}\nthe pages have {paged}"

    async def includes_agree(self, query: Query) -> None:
        """The server gives along what the oracle expects, for the matches that both know."""
        bundle = await self.get(query, ("_count", str(PAGE)))
        by_mode: dict[str, list[Resource]] = {"match": [], "include": []}
        for entry in bundle.get("entry", []):
            by_mode[entry["search"]["mode"]].append(entry["resource"])
        expected = included(self.oracle, by_mode["match"], query.results)
        self.counted["some" if expected else "none"] += 1
        served = [address_of(item) for item in by_mode["include"]]
        assert set(served) == expected, (
            f"{written(query)}\nonly the oracle: {expected - set(served)}\nonly the server: {set(served) - expected}"
        )
        assert len(served) == len(set(served)), f"{written(query)}\nsomething comes twice"

    def _described(self, resource: Resource, params: Params) -> str:
        """The address of a resource, and what the parameters see in it; all of it for chains."""
        seen = {}
        for name, _ in params:
            parameter = self.oracle.world.parameter(resource["resourceType"], name.partition(":")[0])
            if parameter is not None:
                seen[name] = self.oracle.world.values(resource, parameter)
        return f"{resource['resourceType']}/{resource['id']} {seen or resource}"


def written(query: Query) -> str:
    """The query as a client writes it, without percent-encoding."""
    params = [*query.params, *query.results]
    return f"{place(query)}?{'&'.join(f'{name}={value}' for name, value in params)}"


def place(query: Query) -> str:
    """The address below the base of what is searched."""
    return "/".join((*(query.compartment or ()), query.resource_type))
