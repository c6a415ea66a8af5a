"""The ceilings: a bare Starlette app, with an empty route and one that reads a row by asyncpg and sends it.

`FHIR_BENCH_DSN` names the database. It does what a read has to do at the least, and nothing else.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.fhir.datatypes.ids import home_bucket

_READ = (
    "SELECT version_id, last_updated, deleted, content::text, bucket, forward_to FROM resource"
    " WHERE bucket = $1 AND resource_type = $2 AND id = $3"
)


async def empty(request: Request) -> Response:
    return Response(b"{}", media_type="application/fhir+json")


async def read(request: Request) -> Response:
    resource_type, id = request.path_params["type"], request.path_params["id"]
    async with request.app.state.pool.acquire() as connection:
        row = await connection.fetchrow(_READ, home_bucket(id), resource_type, id)
    return Response(row["content"], media_type="application/fhir+json")


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["FHIR_BENCH_DSN"], min_size=10, max_size=10) as pool:
        app.state.pool = pool
        yield


app = Starlette(
    routes=[Route("/empty", empty), Route("/fhir/{type}/{id}", read)],
    lifespan=_lifespan,
)
