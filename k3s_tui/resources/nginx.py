"""Files of the load balancer: nginx as a layer-4 proxy, apart from the distribution's own nginx.

Own configuration, own unit, own logs and rotation: the distribution's nginx.conf is not touched,
other sites go on, and removing the four files removes the load balancer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from k3s_tui.core.address import canonical, endpoint
from k3s_tui.hosts.script import UPTIME

UNIT = "k3s-tui-lb.service"
CONFIG_PATH = "/etc/nginx/k3s-tui-lb.conf"
"""Below /etc/nginx, where SELinux lets nginx read."""
UNIT_PATH = f"/etc/systemd/system/{UNIT}"
ROTATION_PATH = "/etc/logrotate.d/k3s-tui-lb"
LOG_FOLDER = "/var/log/k3s-tui-lb"
ACCESS_LOG = f"{LOG_FOLDER}/access.log"
ERROR_LOG = f"{LOG_FOLDER}/error.log"
PID_PATH = "/run/k3s-tui-lb.pid"

Method = Literal["least_conn", "round_robin"]


def upstream(address: str, port: int) -> str:
    """`10.0.0.1:6443` or `[fd00::1]:6443`: just as nginx writes it into its log."""
    return endpoint(canonical(address), port)


def config(
    upstreams: Sequence[str],
    *,
    port: int,
    method: Method,
    user: str,
    load_stream: str,
    ipv6: bool = False,
) -> str:
    """The whole nginx configuration.

    `upstreams` are those of every server; `load_stream` is the line that loads the stream module on
    this distribution ('' when nginx was built with it).  It listens on all IPv4 addresses, and with
    `ipv6` on all IPv6 ones too: a kernel without IPv6 would not let it start.
    """
    servers = "\n".join(f"        server {u} max_fails=2 fail_timeout=5s;" for u in upstreams)
    # Round robin is nginx's default and has no directive.
    balance = "        least_conn;\n" if method == "least_conn" else ""
    addresses = (f"{port}", f"[::]:{port} ipv6only=on") if ipv6 else (f"{port}",)
    listen = "\n".join(f"        listen {a} so_keepalive=30s:10s:3;" for a in addresses)
    return f"""\
# Written by k3s-tui. Changes made here are undone by its next run.
{load_stream}
user {user};
worker_processes auto;
worker_rlimit_nofile 65536;
# Watches last for hours: workers of an old configuration must not.
worker_shutdown_timeout 30s;
pid {PID_PATH};
error_log {ERROR_LOG} warn;

events {{
    worker_connections 16384;
}}

stream {{
    log_format balancer '$remote_addr [$time_iso8601] $protocol $status $bytes_sent '
                        '$bytes_received $session_time "$upstream_addr" $upstream_connect_time';
    access_log {ACCESS_LOG} balancer;

    upstream k3s_servers {{
        # Shared by all workers: without it each would count connections for itself.
        zone k3s_servers 64k;
{balance}{servers}
    }}

    server {{
{listen}
        proxy_pass k3s_servers;
        proxy_connect_timeout 2s;
        # The default of 10 minutes cuts quiet watches, exec and logs -f.
        proxy_timeout 24h;
        proxy_socket_keepalive on;
        proxy_next_upstream on;
        proxy_next_upstream_timeout 5s;
    }}
}}
"""


def unit() -> str:
    return f"""\
# Written by k3s-tui. Changes made here are undone by its next run.
[Unit]
Description=k3s-tui load balancer: the fixed registration address of a K3s cluster
After=network-online.target
Wants=network-online.target

[Service]
Type=forking
PIDFile={PID_PATH}
LogsDirectory=k3s-tui-lb
ExecStartPre=/usr/sbin/nginx -t -q -c {CONFIG_PATH}
ExecStart=/usr/sbin/nginx -c {CONFIG_PATH}
ExecReload=/bin/kill -HUP $MAINPID
# At once: while sessions of hours were let end (SIGQUIT), nobody would listen for new ones.
KillSignal=SIGTERM
TimeoutStopSec=5
Restart=on-failure
RestartSec=2
LimitNOFILE=65536
PrivateTmp=true

[Install]
WantedBy=multi-user.target
"""


# The port of the file in its place, which is that of before when a version is taken back.
_LISTENERS = f"""\
listeners() {{
    port=$(sed -n 's/^ *listen \\([0-9][0-9]*\\)[ ;].*/\\1/p' {CONFIG_PATH} | head -n 1)
    ss -Hltnp ${{port:+sport = :$port}}
}}
"""


def ready() -> str:
    """sh that succeeds once this nginx listens: `nginx -t` does not see a port in use."""
    return f'{_LISTENERS}listeners | grep -q "pid=$(cat {PID_PATH}),"'


def reload(seconds: int = 10) -> str:
    """sh that makes a running load balancer take up its configuration, without a gap.

    Old sessions go on in the old workers for as long as `worker_shutdown_timeout`.  nginx refuses a
    configuration silently and goes on with the old one, so what counts is who listens: new workers
    are started only once the configuration is live, and old ones stop listening then.  Not 0, and
    the reason on standard error, when that does not come about within `seconds`.
    """
    return f"""{UPTIME}{_LISTENERS}workers() {{
    listeners | grep -o 'pid=[0-9]*' | grep -vx "pid=$(cat {PID_PATH})" | sort -u
}}
all_new() {{
    [ -n "$1" ] || return 1
    for worker in $1; do
        case " $before " in *" $worker "*) return 1 ;; esac
    done
}}
before=$(echo $(workers))
size=$(cat {ERROR_LOG} 2>/dev/null | wc -c)
systemctl reload {UNIT}
end=$(($(uptime) + {seconds}))
until all_new "$(workers)"; do
    said=$(tail -c +$((size + 1)) {ERROR_LOG} 2>/dev/null | sed -n '/\\[emerg\\]/p')
    # A port that is in use is tried for some seconds; what comes next would be taken for refused.
    case $said in
        *'still could not bind'*) refused=yes ;;
        '' | *'(98: '*) refused=no ;;
        *) refused=yes ;;
    esac
    if [ $refused = yes ] || [ "$(uptime)" -gt $end ]; then
        said=$(printf '%s\\n' "$said" | head -n 1)
        printf '%s\\n' "${{said:-no new worker listens}}: nginx goes on as before" >&2
        exit 1
    fi
    sleep 0.2 2>/dev/null || sleep 1
done
"""


def rotation() -> str:
    return f"""\
# Written by k3s-tui. Changes made here are undone by its next run.
{LOG_FOLDER}/*.log {{
    daily
    rotate 14
    compress
    delaycompress
    missingok
    notifempty
    sharedscripts
    postrotate
        [ ! -f {PID_PATH} ] || kill -USR1 "$(cat {PID_PATH})"
    endscript
}}
"""
