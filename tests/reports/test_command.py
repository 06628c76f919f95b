"""The command that publishes a run."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from tests import factories
from tracker import models

pytestmark = pytest.mark.django_db


def test_it_publishes_the_named_run_and_writes_its_two_files(tmp_path):
    factories.run("r-1", as_known_at=timezone.now())
    call_command("build_report", "r-1", out=tmp_path / "deep" / "folder")
    report = models.Report.objects.get(run__key="r-1")
    assert (tmp_path / "deep/folder/report-r-1.html").read_bytes() == report.html.encode()
    assert (tmp_path / "deep/folder/report-r-1.csv").read_bytes() == report.csv.encode()


def test_without_a_name_it_takes_the_finished_run_that_looks_furthest():
    now = timezone.now()
    factories.run("r-old", as_known_at=now.replace(year=now.year - 1))
    factories.run("r-new", as_known_at=now)
    factories.run("r-going", as_known_at=now, status=models.ReconciliationRun.Status.RUNNING)
    call_command("build_report")
    assert models.Report.objects.get().run.key == "r-new"


@pytest.mark.parametrize(
    ("arguments", "words"), [(["nope"], "no run 'nope'"), ([], "No run has finished yet")]
)
def test_it_says_what_is_wrong_when_there_is_no_run(arguments, words):
    with pytest.raises(CommandError, match=words):
        call_command("build_report", *arguments)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    factories.run("r-1", as_known_at=timezone.now())
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="could not be written"):
        call_command("build_report", "r-1", out=tmp_path / "file")
