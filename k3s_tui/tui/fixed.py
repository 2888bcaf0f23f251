"""What of a profile cannot be changed any more, in the operator's language."""

from __future__ import annotations

from k3s_tui.procedure.fixed import Code
from k3s_tui.tui.language import N_, _

REASONS: dict[Code, str] = {
    "datastore": N_("the cluster's state is in there"),
    "authority": N_("running servers trust the CA that is there, and no other"),
    "version": N_("k3s-tui does not upgrade clusters yet"),
    "secret": N_("its value opens what is in the datastore"),
    "network": N_("it was decided when the cluster was made"),
    "node": N_("it is a node of the cluster by this name"),
    "address": N_("the others know it by this address"),
    "role": N_("K3s is installed there"),
}


def tell(code: Code) -> str:
    """Why it cannot be changed."""
    return _("cannot be changed any more: {reason}").format(reason=_(REASONS[code]))
