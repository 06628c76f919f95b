"""People at the desk: one of each role."""

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from tracker.reviews.services import ensure_roles


def person(role: str) -> User:
    if not Group.objects.filter(name=role).exists():
        ensure_roles()  # else as the migrations left them
    user = User.objects.create_user(f"the-{role.lower()}", password=None, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    return user


def at_the_desk(role: str) -> Client:
    client = Client()
    client.force_login(person(role), backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def reader(db) -> Client:
    return at_the_desk("Reader")


@pytest.fixture
def analyst(db) -> Client:
    return at_the_desk("Analyst")


@pytest.fixture
def reviewer(db) -> Client:
    return at_the_desk("Reviewer")


@pytest.fixture
def operator(db) -> Client:
    return at_the_desk("Operator")
