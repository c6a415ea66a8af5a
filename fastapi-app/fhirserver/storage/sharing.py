"""One answer for all who ask the same at once."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """Runs what is asked for, each question once at a time.

    Who asks while a question is being answered waits for the next answer, together with all others who wait: an answer
    is never older than the question.
    """

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[T]] = {}
        self._next: dict[Hashable, asyncio.Task[T]] = {}

    async def get(self, question: Hashable, answer: Callable[[], Awaitable[T]]) -> T:
        """What `answer` gives. It is called by one of those with an equal question, and raises for all of them."""
        running = self._running.get(question)
        if running is None:
            task = self._running[question] = asyncio.create_task(self._run(question, answer))
        else:
            task = self._next.get(question) or asyncio.create_task(self._after(running, question, answer))
            self._next[question] = task
        return await asyncio.shield(task)

    async def _after(self, running: "asyncio.Task[T]", question: Hashable, answer: Callable[[], Awaitable[T]]) -> T:
        await asyncio.wait([running])
        self._running[question] = self._next.pop(question)
        return await self._run(question, answer)

    async def _run(self, question: Hashable, answer: Callable[[], Awaitable[T]]) -> T:
        try:
            return await answer()
        finally:
            if question not in self._next:
                del self._running[question]
