"""Who asks the same at once shares an answer, and never gets one that was begun before."""

import asyncio

import pytest

from fhirserver.search.query.tree import KeyMatch
from fhirserver.search.request import SearchRequest
from fhirserver.storage.sharing import Shared


class Slow:
    """Answers with the number of the call, when it is let."""

    def __init__(self) -> None:
        self.calls = 0
        self.go = asyncio.Event()

    async def __call__(self) -> int:
        self.calls += 1
        number = self.calls
        await self.go.wait()
        return number


async def asked(shared: Shared[int], question: str, answer: Slow, times: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(shared.get(question, answer)) for _ in range(times)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_who_asks_during_an_answer_gets_the_next_one():
    shared, answer = Shared[int](), Slow()
    first = await asked(shared, "a", answer, 1)
    later = await asked(shared, "a", answer, 5)
    answer.go.set()
    assert await asyncio.gather(*first, *later) == [1, 2, 2, 2, 2, 2]
    assert await shared.get("a", answer) == 3


async def test_other_questions_have_answers_of_their_own():
    shared, answer = Shared[int](), Slow()
    tasks = [*await asked(shared, "a", answer, 1), *await asked(shared, "b", answer, 1)]
    answer.go.set()
    assert await asyncio.gather(*tasks) == [1, 2]


async def test_who_goes_away_takes_nothing_from_the_others():
    shared, answer = Shared[int](), Slow()
    [first] = await asked(shared, "a", answer, 1)
    leaving, staying = await asked(shared, "a", answer, 2)
    first.cancel()
    leaving.cancel()
    answer.go.set()
    assert await staying == 2


async def test_all_hear_of_an_error_and_the_next_one_asks_again():
    shared = Shared[int]()

    async def fails() -> int:
        await asyncio.sleep(0)
        raise ValueError("broken")

    results = await asyncio.gather(*(shared.get("a", fails) for _ in range(4)), return_exceptions=True)
    assert [type(result) for result in results] == [ValueError] * 4
    with pytest.raises(ValueError, match="broken"):
        await shared.get("a", fails)


async def test_equal_counts_at_once_are_two_statements_at_most(store, statements):
    request = SearchRequest("Basic", KeyMatch("k", (12345,)), restricted=True)
    assert await asyncio.gather(*(store.count(request) for _ in range(8))) == [0] * 8
    assert statements.names.count("count") == 2
