"""Errors a user can act on: each message names the file, the place in it and the remedy."""

__all__ = ["DataError", "ModashiftError"]


class ModashiftError(Exception):
    """Base of every error raised on purpose; the command line prints it without a traceback."""


class DataError(ModashiftError):
    """A file, store or array that cannot be used as it is."""
