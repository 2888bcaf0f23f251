"""The lab: five real systemd hosts on one Linux machine, for tests and by hand.

::

    python -m tests.lab up                     # bare hosts, in seconds once the caches are filled
    python -m tests.lab status
    python -m tests.lab run -- ssh -i /var/lib/k3s-tui-lab/identity ops@10.161.129.54
    python -m tests.lab run -- k3s-tui apply how-to.toml
    python -m tests.lab shell postgres         # root, inside the host
    python -m tests.lab up --fresh             # bare hosts again
    python -m tests.lab down

It needs root on Linux and the packages of ``packages.txt``; on the Internet it needs nothing
but the machine's own apt sources.

**The hosts** are the how-to's, with its names and addresses: ``k3s-server-1`` (.54),
``k3s-server-2`` (.154), ``k3s-agent`` (.196), ``postgres`` (.212) and ``nginx`` (.118) in
10.161.129.0/24, and once more in fd00:10:161:129::/64 with the same last number, where the machine
has IPv6. Each is a systemd-nspawn container: an overlay over one debootstrap base that is
never written to, its own host name, SSH host keys, control groups and network namespace. Users:
``ops`` (sudo asks nothing), ``opspw`` (sudo asks for ``topology.SUDO_PASSWORD``) and ``root``, all
by the lab's own ed25519 key. A host has no PostgreSQL, no nginx, no Python, and empty package
lists.

**The network** is a bridge in a namespace of its own, with no uplink. The root namespace refuses
the lab's addresses before anything else is done, so the tool under test must be run inside
(``run``). Whatever a host sends elsewhere comes back as unreachable.

**The bridge's address**, 10.161.129.1, is the hosts' default route and offers three services, all
of one process: the packages that hosts may install (``http://10.161.129.1/packages``), DNS for
the K3s download names and nothing else, and those downloads over HTTPS, by a CA that the hosts
trust. Downloads are read from ``paths.RELEASES`` for every request (``install.sh`` and
``VERSION/FILE``), so a test may tamper with them; ``paths.RELEASES_LOG`` shows who fetched what.

**K3s** is the stand-in of ``standin/`` unless ``up`` is given real files (``--k3s PATH
--install-script PATH --k3s-version V``). The stand-in keeps the contract of
shared/knowledge/k3s-postgres.md §3, §4 and §9 against a real PostgreSQL, says ``standin``
wherever it shows itself, and refuses to run on anything but a lab host. Differences from a real
one: it starts in a second, calls a silent node NotReady after ten, fails on unknown keys of
config.yaml, pulls no image and runs no pod.

**More than one**: ``K3S_TUI_LAB=NAME`` in the environment means another lab beside it, with the
same addresses in namespaces of its own (``ip netns exec NAME-k3s-tui-lab``, state in
/var/lib/NAME-k3s-tui-lab). NAME is short: lower-case letters and digits.

**What it leaves on the machine**: the caches in /var/cache/k3s-tui-lab and the unreachable routes.
State is in /var/lib/k3s-tui-lab; ``down`` removes it, also after a crash of ``up``, and ends only
processes that it recorded (pid and start time) or finds in the hosts' own control groups.

For tests, see :class:`tests.lab.lab.Lab`, :mod:`tests.lab.profile` and the fixtures in
tests/conftest.py.
"""
