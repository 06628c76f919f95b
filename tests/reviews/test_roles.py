"""Roles are there after a migration, without anybody asking for them."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group

pytestmark = pytest.mark.django_db


def may_more(permissions):
    return {name for name in permissions if not name.startswith("view_")}


def test_the_four_roles_exist_with_only_what_they_need():
    roles = {
        group.name: set(group.permissions.values_list("codename", flat=True)) for group in Group.objects.all()
    }
    assert {"Reader", "Analyst", "Reviewer", "Operator"} <= roles.keys()
    assert all(name.startswith("view_") for name in roles["Reader"])
    assert "change_claim" in roles["Analyst"]
    assert "resolve_discrepancy" not in roles["Analyst"]
    assert "resolve_discrepancy" in roles["Reviewer"]
    assert "run_screening" in roles["Analyst"] & roles["Reviewer"] & roles["Operator"]
    assert {role for role in roles if "decide_screeningmatch" in roles[role]} == {"Reviewer"}
    assert {role for role in roles if "load_screeninglist" in roles[role]} == {"Reviewer"}
    assert not {"change_listedparty", "add_screeningmatch"} & set().union(*roles.values())
    assert {"add_ruledraft", "change_ruledraft", "add_rulecomparison"} <= roles["Analyst"] & roles["Reviewer"]
    assert not {"delete_ruledraft", "change_rulecomparison", "change_exportrule"} & roles["Analyst"]
    assert "delete_ruledraft" in roles["Reviewer"]
    assert not any("ruledraft" in name or "rulecomparison" in name for name in may_more(roles["Operator"]))
    assert not any(name.startswith("delete_source") for name in roles["Reader"] | roles["Operator"])
