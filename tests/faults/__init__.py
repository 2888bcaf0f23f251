"""Every promise of SECURITY.md, P1 to P15, proved by a fault or an attack that is carried out.

``make test`` runs a bounded slice of each, ``make faults`` all of them (hours are fine) and writes
what it saw to docs/reference/faults.md. A test takes its size from :func:`tally.amount` and counts
what it really injected with the ``tally`` fixture.
"""
