"""The project's own exceptions: one root, so that a door can turn any of them into a message for a person."""


class TrackerError(Exception):
    """Root of every error raised on purpose; ``str(error)`` is a sentence for the person who met it."""


class BadInput(TrackerError):
    """Data from outside cannot be used as it stands; the message names place, value and mend."""


class UnknownName(BadInput):
    """A slug, country code, unit or similar that nothing in the ledger answers to."""


class CannotReconcile(TrackerError):
    """A run cannot go on; the message says at which stage and what an operator does next."""
