"""Failures that K3s would report."""

from __future__ import annotations


class Fatal(Exception):
    """Ends the process; the text goes to the journal at level ``fatal``."""


class UsageError(Exception):
    """A wrong command line or configuration file; the text goes to standard error."""
