"""A database of a benchmark's own, and a connection to it from the processes it starts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


def connect(name: str = "") -> None:
    """Set Django up; with a name, on that database."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    if name:
        from django.conf import settings
        from django.db import connection

        settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = name


@contextmanager
def own_database(name: str, keep: bool = False) -> Iterator[bool]:
    """A database that stands while the ``with`` block does; ``keep``: it stays, and one that stayed is used again. Yields whether
    it is one that was kept."""
    connect()
    from django.conf import settings
    from django.db import connection

    from config import embedded

    embedded.up()
    usual = connection.settings_dict["NAME"]
    connection.settings_dict["TEST"]["NAME"] = name
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        kept = bool(keep and cursor.fetchone())
    if kept:
        connection.close()
        settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = name
    else:
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        yield kept
    finally:
        if not keep:
            connection.creation.destroy_test_db(usual, verbosity=0)
