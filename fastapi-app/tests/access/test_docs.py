"""`/docs` in a browser: who signs in there with a password is somebody, and what the page asks is answered."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import uvicorn

from tests.chromium import chromium

from .conftest import PASSWORD, Process

PATIENTS = "#operations-Patient-searchPatient"
STATUS = f"document.querySelector('{PATIENTS} .live-responses-table .response .response-col_status')?.innerText"


@pytest.fixture
async def address(process: Process) -> AsyncIterator[str]:
    """Where the application is served."""
    config = uvicorn.Config(process.app, port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    [socket] = server.servers[0].sockets
    yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    server.should_exit = True
    await serving


async def test_signing_in_on_the_page(process: Process, address: str) -> None:
    username = await process.user("practitioner")
    async with chromium() as page:
        await page.open(f"{address}/docs")
        await page.click("#operations-tag-Patient")
        await page.click(f"{PATIENTS} .opblock-summary-control")
        await page.click(f"{PATIENTS} .try-out__btn")
        await page.click(f"{PATIENTS} .execute")
        assert (await page.until(STATUS)).startswith("401")  # nobody
        await page.click(".btn.authorize")
        await page.type("#oauth_username", username)
        await page.type("#oauth_password", PASSWORD)
        await page.click(".auth-container:has(#oauth_username) .auth-btn-wrapper .authorize")
        signed_in = "[...document.querySelectorAll('.auth-container button')].some(b => b.innerText == 'Logout')"
        await page.until(signed_in)
        await page.click(".auth-btn-wrapper .btn-done")
        await page.click(f"{PATIENTS} .btn-clear")
        await page.click(f"{PATIENTS} .execute")
        assert (await page.until(STATUS)).startswith("200")
        body = await page.value(f"document.querySelector('{PATIENTS} .live-responses-table').innerText")
        assert '"searchset"' in body
