"""A PgBouncer of its own before a database: it lends a connection of the database's for the time of a transaction."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from fhirserver.storage.embedded import account

# As README.md tells to set it.
CONNECT_QUERY = "SET plan_cache_mode = force_custom_plan; SET jit = off; SET citus.override_table_visibility = off"


@contextmanager
def pgbouncer(dsn: str, *, size: int = 20, max_prepared: int = 0, connect_query: str = CONNECT_QUERY) -> Iterator[str]:
    """The DSN of a PgBouncer that has `size` connections to the database of `dsn`, for the time of the block."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("SKIPPED: NO PGBOUNCER")
    url = make_url(dsn)
    owner = account()
    with tempfile.TemporaryDirectory(prefix="fhirserver-tests-") as folder:
        file = Path(folder) / "pgbouncer.ini"
        file.write_text(
            f"[databases]\n* = host={url.query.get('host', url.host)} port={url.port or 5432} user={url.username}"
            f" connect_query='{connect_query}'\n"
            f"[pgbouncer]\npool_mode = transaction\nauth_type = any\nunix_socket_dir = {folder}\nlisten_port = 6432\n"
            f"default_pool_size = {size}\nmax_client_conn = 500\nlogfile = {folder}/log\npidfile = {folder}/pid\n"
            + (f"max_prepared_statements = {max_prepared}\n" if max_prepared else "")
        )
        if owner is not None:
            for path in (Path(folder), file):
                shutil.chown(path, owner.pw_uid, owner.pw_gid)
        as_owner = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if owner else {}
        process = subprocess.Popen([program, "-q", file], cwd="/", **as_owner)
        try:
            while not (Path(folder) / ".s.PGSQL.6432").exists():
                assert process.poll() is None, (Path(folder) / "log").read_text()
                time.sleep(0.02)
            yield f"postgresql://{url.username}@/{url.database}?host={folder}&port=6432"
        finally:
            process.terminate()
            process.wait()
