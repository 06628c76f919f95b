"""The world of chips and parties in which ledgers are judged, for the checks that rest on what the rules say."""

from tests.judgement.conftest import world

__all__ = ["world"]
