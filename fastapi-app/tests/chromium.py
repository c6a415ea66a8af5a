"""A headless Chromium that does what a person does, by its DevTools protocol over two pipes.

https://chromedevtools.github.io/devtools-protocol/
"""

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest

_SECONDS = 60.0
_PAUSE = 0.1


class Page:
    """An open page. What it waits for it waits for a minute."""

    def __init__(self, reader: asyncio.StreamReader, to_browser: int):
        self._reader = reader
        self._to_browser = to_browser
        self._numbers = count(1)
        self._session: str | None = None

    async def open(self, url: str) -> None:
        """Go there."""
        target = await self._ask("Target.createTarget", url="about:blank")
        attached = await self._ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        await self._ask("Page.navigate", url=url)

    async def value(self, expression: str) -> Any:
        """What an expression of JavaScript gives; None where it throws."""
        found = await self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        return found["result"].get("value") if "exceptionDetails" not in found else None

    async def until(self, expression: str) -> Any:
        """The value of the expression, once it is true."""
        try:
            async with asyncio.timeout(_SECONDS):
                while not (value := await self.value(expression)):  # noqa: ASYNC110
                    await asyncio.sleep(_PAUSE)
                return value
        except TimeoutError:
            text = await self.value("document.body.innerText")
            raise AssertionError(f"not within {_SECONDS:.0f} s: {expression}\n{str(text)[:3000]}") from None

    async def click(self, selector: str) -> None:
        """Click on the first element, once it is there."""
        await self.until(f"!!document.querySelector({json.dumps(selector)})")
        await self.value(f"document.querySelector({json.dumps(selector)}).click()")

    async def type(self, selector: str, text: str) -> None:
        """Type into a field, once it is there."""
        await self.until(f"!!document.querySelector({json.dumps(selector)})")
        await self.value(f"document.querySelector({json.dumps(selector)}).focus()")
        await self._ask("Input.insertText", text=text)

    async def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to_browser, json.dumps(message).encode() + b"\0")
        async with asyncio.timeout(_SECONDS):
            while True:
                answer = json.loads((await self._reader.readuntil(b"\0"))[:-1])
                if answer.get("id") == number:
                    assert "error" not in answer, answer
                    return dict(answer["result"])


@asynccontextmanager
async def chromium() -> AsyncIterator[Page]:
    """A page of a browser of its own; without a Chromium the test is skipped."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("SKIPPED FOR LACK OF A BROWSER: there is no chromium on the PATH")
    commands, to_browser = os.pipe()
    from_browser, answers = os.pipe()
    with tempfile.TemporaryDirectory(prefix="fhirserver-browser-", ignore_cleanup_errors=True) as folder:
        # Its pipes are at the descriptors 3 and 4. sh takes one digit only.
        browser = await asyncio.create_subprocess_exec(
            "bash", "-c", f'exec "$0" "$@" 3<&{commands} 4>&{answers}', program,
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--remote-debugging-pipe", f"--user-data-dir={folder}",
            pass_fds=(commands, answers), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        os.close(commands)
        os.close(answers)
        reader = asyncio.StreamReader(limit=64 * 1024 * 1024)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(from_browser, "rb")
        )
        try:
            yield Page(reader, to_browser)
        finally:
            transport.close()
            os.close(to_browser)
            browser.kill()
            await browser.wait()
