"""A stand-in for ``k3s``: its contract towards an installer, and nothing behind it.

It takes K3s's arguments, environment and configuration files; opens a PostgreSQL datastore by the
rules of kine; shares certificate authorities through the bootstrap row; serves the few paths that
an installer looks at; and lets agents register. It runs no container and schedules nothing.

It is packed into one executable file by :mod:`tests.lab.standin.build` and runs on hosts of the
test lab only, by an interpreter of its own.
"""
