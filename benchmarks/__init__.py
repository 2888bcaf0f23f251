"""Figures, by `make bench`: printed with the machine's load and versions, never asserted."""
