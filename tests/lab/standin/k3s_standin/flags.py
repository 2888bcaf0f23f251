"""The flags of ``k3s server`` and ``k3s agent``: names, kinds, environment variables."""

from __future__ import annotations

ENVIRONMENT: dict[str, str] = {
    "token": "K3S_TOKEN",
    "token-file": "K3S_TOKEN_FILE",
    "agent-token": "K3S_AGENT_TOKEN",
    "agent-token-file": "K3S_AGENT_TOKEN_FILE",
    "server": "K3S_URL",
    "data-dir": "K3S_DATA_DIR",
    "node-name": "K3S_NODE_NAME",
    "datastore-endpoint": "K3S_DATASTORE_ENDPOINT",
    "datastore-cafile": "K3S_DATASTORE_CAFILE",
    "datastore-certfile": "K3S_DATASTORE_CERTFILE",
    "datastore-keyfile": "K3S_DATASTORE_KEYFILE",
    "write-kubeconfig": "K3S_KUBECONFIG_OUTPUT",
    "write-kubeconfig-mode": "K3S_KUBECONFIG_MODE",
    "resolv-conf": "K3S_RESOLV_CONF",
    "selinux": "K3S_SELINUX",
    "debug": "K3S_DEBUG",
}

_NODE = """
config debug v vmodule log alsologtostderr token token-file data-dir node-name with-node-id
node-label node-taint image-credential-provider-bin-dir image-credential-provider-config selinux
lb-server-port protect-kernel-defaults container-runtime-endpoint default-runtime
image-service-endpoint disable-default-registry-endpoint nonroot-devices pause-image snapshotter
private-registry airgap-extra-registry node-ip bind-address node-external-ip node-internal-dns
node-external-dns resolv-conf flannel-iface flannel-conf flannel-cni-conf kubelet-arg
kube-proxy-arg enable-pprof rootless prefer-bundled-bin server docker vpn-auth vpn-auth-file
"""

_SERVER_ONLY = """
https-listen-port supervisor-port apiserver-port apiserver-bind-address advertise-address
advertise-port tls-san tls-san-security cluster-cidr service-cidr service-node-port-range
cluster-dns cluster-domain flannel-backend flannel-ipv6-masq flannel-external-ip
egress-selector-mode servicelb-namespace write-kubeconfig write-kubeconfig-mode
write-kubeconfig-group helm-job-image agent-token agent-token-file cluster-init cluster-reset
cluster-reset-restore-path kube-apiserver-arg etcd-arg kube-controller-manager-arg
kube-scheduler-arg kube-cloud-controller-manager-arg datastore-endpoint datastore-cafile
datastore-certfile datastore-keyfile kine-tls etcd-expose-metrics etcd-disable-snapshots
etcd-snapshot-name etcd-snapshot-schedule-cron etcd-snapshot-retention etcd-snapshot-dir
etcd-snapshot-compress etcd-s3 default-local-storage-path disable disable-scheduler
disable-cloud-controller disable-kube-proxy disable-network-policy disable-helm-controller
disable-agent disable-apiserver disable-controller-manager disable-etcd embedded-registry
supervisor-metrics secrets-encryption secrets-encryption-provider system-default-registry
"""

_BOOLEAN = """
debug alsologtostderr with-node-id selinux protect-kernel-defaults
disable-default-registry-endpoint nonroot-devices enable-pprof rootless prefer-bundled-bin docker
tls-san-security flannel-ipv6-masq flannel-external-ip cluster-init cluster-reset kine-tls
etcd-expose-metrics etcd-disable-snapshots etcd-snapshot-compress etcd-s3 disable-scheduler
disable-cloud-controller disable-kube-proxy disable-network-policy disable-helm-controller
disable-agent disable-apiserver disable-controller-manager disable-etcd embedded-registry
supervisor-metrics secrets-encryption
"""

_REPEATABLE = """
node-label node-taint airgap-extra-registry node-ip node-external-ip node-internal-dns
node-external-dns kubelet-arg kube-proxy-arg tls-san cluster-cidr service-cidr cluster-dns
kube-apiserver-arg etcd-arg kube-controller-manager-arg kube-scheduler-arg
kube-cloud-controller-manager-arg disable
"""

AGENT = frozenset(_NODE.split())
SERVER = AGENT | frozenset(_SERVER_ONLY.split())
BOOLEAN = frozenset(_BOOLEAN.split())
REPEATABLE = frozenset(_REPEATABLE.split())

SHORT: dict[str, str] = {
    "t": "token",
    "s": "server",
    "d": "data-dir",
    "c": "config",
    "o": "write-kubeconfig",
}
