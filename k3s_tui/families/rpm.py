"""What distributions with RPM have in common."""

from __future__ import annotations

INSTALLED = """\
for name; do
    rpm -q --whatprovides "$name" >/dev/null 2>&1 && echo "$name"
done
"""
"""Asks for what provides each name: curl-minimal stands in for curl, and conflicts with it."""
