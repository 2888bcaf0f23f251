"""Files of the load balancer: nginx as a layer-4 proxy, apart from the distribution's own nginx.

Own configuration, own unit, own logs and rotation: the distribution's nginx.conf is not touched,
other sites go on, and removing the four files removes the load balancer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

UNIT = "k3s-tui-lb.service"
CONFIG_PATH = "/etc/nginx/k3s-tui-lb.conf"
"""Below /etc/nginx, where SELinux lets nginx read."""
UNIT_PATH = f"/etc/systemd/system/{UNIT}"
ROTATION_PATH = "/etc/logrotate.d/k3s-tui-lb"
LOG_FOLDER = "/var/log/k3s-tui-lb"
ACCESS_LOG = f"{LOG_FOLDER}/access.log"
PID_PATH = "/run/k3s-tui-lb.pid"

Method = Literal["least_conn", "round_robin"]


def config(
    upstreams: Sequence[str], *, port: int, method: Method, user: str, load_stream: str
) -> str:
    """The whole nginx configuration.

    `upstreams` are `address:port` of every server; `load_stream` is the line that loads the stream
    module on this distribution ('' when nginx was built with it).
    """
    servers = "\n".join(f"        server {u} max_fails=2 fail_timeout=5s;" for u in upstreams)
    # Round robin is nginx's default and has no directive.
    balance = "        least_conn;\n" if method == "least_conn" else ""
    return f"""\
# Written by k3s-tui. Changes made here are undone by its next run.
{load_stream}
user {user};
worker_processes auto;
worker_rlimit_nofile 65536;
# Watches last for hours: workers of an old configuration must not.
worker_shutdown_timeout 30s;
pid {PID_PATH};
error_log {LOG_FOLDER}/error.log warn;

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
        listen {port} so_keepalive=30s:10s:3;
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
KillSignal=SIGQUIT
TimeoutStopSec=10
Restart=on-failure
RestartSec=2
LimitNOFILE=65536
PrivateTmp=true

[Install]
WantedBy=multi-user.target
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
