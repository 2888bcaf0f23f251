"""Step 2: the certificates between the servers and the datastore."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from k3s_tui.tui.language import N_
from k3s_tui.tui.screens.step import StepScreen
from k3s_tui.tui.widgets.field import Field


class CertificatesScreen(StepScreen):
    HELP = N_("A certificate authority of this cluster's own signs them; keys never leave a host.")

    def body(self) -> Iterable[Any]:
        yield Field(
            ("pki", "leaf-days"),
            N_("Days of a certificate"),
            self.draft.get(("pki", "leaf-days")),
            kind="number",
            default=730,
        )
        yield Field(
            ("pki", "ca-days"),
            N_("Days of the CA"),
            self.draft.get(("pki", "ca-days")),
            kind="number",
            default=3650,
        )


SCREEN = CertificatesScreen
