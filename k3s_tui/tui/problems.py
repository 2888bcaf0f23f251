"""What is wrong with a profile, in the operator's language.

English shows the profile's own messages.  Another language says by the problem's code what kind
it is, and keeps what the message names; a test sees to it that no code is missing here.
"""

from __future__ import annotations

from k3s_tui.profile.problem import ProfileInvalid, ProfileProblem
from k3s_tui.tui.language import N_, _, current

KINDS = {
    "bad-address": N_("this is no address"),
    "bad-database-name": N_("PostgreSQL cannot take this name"),
    "bad-dns-name": N_("this is no DNS name"),
    "bad-host-name": N_("this cannot be a host's name"),
    "bad-identity": N_("this is no SSH identity"),
    "bad-jump": N_("this is no jump host"),
    "bad-label": N_("Kubernetes cannot take this label"),
    "bad-name": N_("this cannot be a profile's name"),
    "bad-option": N_("K3s has no such option"),
    "bad-option-value": N_("this option cannot have this value"),
    "bad-range": N_("this is no range that can be used here"),
    "bad-taint": N_("this is no taint"),
    "bad-url": N_("this is no URL that can be used"),
    "bad-user": N_("this is no user's name"),
    "bad-value": N_("this is not a valid value"),
    "bad-version": N_("this is no K3s release"),
    "ca-too-short": N_("the CA would end before its certificates"),
    "circular-jump": N_("the way to this host leads through itself"),
    "duplicate-address": N_("another host has this address"),
    "duplicate-role": N_("the same role twice"),
    "even-servers": N_("etcd needs an odd number of servers"),
    "families-differ": N_("these are addresses of different families"),
    "foreign-registration-address": N_("this is not the load balancer's own address"),
    "literal-secret": N_("a secret must not stand here, only a reference to it"),
    "missing-key": N_("something must stand here"),
    "needless-option": N_("this option has no effect here"),
    "needless-role": N_("no host needs this role here"),
    "needless-setting": N_("this setting means nothing here"),
    "newer-schema": N_("this profile was made by a newer k3s-tui"),
    "no-datastore": N_("no host has the role datastore"),
    "no-role": N_("a host needs a role"),
    "no-loadbalancer": N_("no host has the role load balancer"),
    "no-server": N_("no host has the role server"),
    "bad-reference": N_("this is no reference to a secret"),
    "not-utf8": N_("the file is not UTF-8 text"),
    "old-k3s": N_("this K3s is too old"),
    "one-family": N_("one family of addresses is missing here"),
    "one-server": N_("with one server the cluster is not highly available"),
    "out-of-range": N_("this number is out of range"),
    "owned-option": N_("k3s-tui sets this option itself"),
    "port-conflict": N_("something else on this host has this port"),
    "registration-at-a-server": N_("this is a server, not a load balancer"),
    "renewed-at-once": N_("every run would renew the certificates"),
    "reserved-label": N_("a node may not give itself this label"),
    "reserved-name": N_("this name is taken by k3s-tui"),
    "server-and-agent": N_("a host is a server or an agent, not both"),
    "server-option": N_("only servers have this option"),
    "several-datastores": N_("only one host may have the role datastore"),
    "several-loadbalancers": N_("only one host may have the role load balancer"),
    "shared-secret": N_("each secret needs a reference of its own"),
    "syntax": N_("this is not valid TOML"),
    "too-large": N_("the file is too large"),
    "unknown-host": N_("no host of this profile is called that"),
    "unknown-key": N_("there is no such setting"),
    "unknown-role": N_("there is no such role"),
    "unknown-value": N_("this is not one of the possible values"),
    "unreadable": N_("the file cannot be read"),
    "unused-labels": N_("labels and taints have no effect on this host"),
    "wrong-type": N_("this is a value of another kind"),
}
"""By code, what kind of problem it is."""


def tell(problem: ProfileProblem) -> str:
    """One problem: what is wrong, what was expected, what to try."""
    text = problem.message
    if current() != "en" and problem.code in KINDS:
        text = f"{_(KINDS[problem.code])} ({problem.message})"
    if problem.expected:
        text = f"{text}; {_('expected')}: {problem.expected}"
    if problem.help:
        text = f"{text}; {problem.help}"
    return text


def tell_invalid(error: ProfileInvalid) -> str:
    """All that is wrong with a file that cannot be opened, with its lines."""
    kinds = [] if current() == "en" else [_(KINDS[p.code]) for p in error.problems]
    return "\n".join([*kinds, error.render()])
