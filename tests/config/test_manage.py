"""The one entry point tells what to do where the database has no tables."""

from __future__ import annotations

import django.core.management
import django.db.utils
import pytest
from django.db import connection, transaction

import manage


def asking(sql):
    def execute(argv):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)

    return execute


@pytest.mark.parametrize("sql", ["SELECT * FROM tracker_nothing", "SELECT nothing FROM tracker_chip"])
def test_a_database_without_the_tables_is_told_with_the_command_that_makes_them(db, monkeypatch, sql):
    monkeypatch.setattr(manage.bootstrap, "ensure", lambda argv: None)
    monkeypatch.setattr(django.core.management, "execute_from_command_line", asking(sql))
    with pytest.raises(SystemExit, match=r"manage.py version: .*python3 manage.py migrate"):
        manage.main(["manage.py", "version"])


def test_another_refusal_of_the_database_is_no_sentence_about_tables(db, monkeypatch):
    monkeypatch.setattr(manage.bootstrap, "ensure", lambda argv: None)
    monkeypatch.setattr(django.core.management, "execute_from_command_line", asking("SELEKT 1"))
    with pytest.raises(django.db.utils.ProgrammingError, match="syntax error"):
        manage.main(["manage.py", "version"])
