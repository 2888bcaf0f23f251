"""The wizard's steps, in order.  A new one is a line here, a module in `screens` and a style."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from k3s_tui.profile.locate import Path as Place
from k3s_tui.profile.problem import ProfileProblem
from k3s_tui.tui.language import N_

if TYPE_CHECKING:
    from k3s_tui.tui.screens.step import StepScreen


@dataclass(frozen=True)
class WizardStep:
    """One step.  `places` are the parts of the profile that it asks for; `tab` is a shorter title,
    for all of them to fit side by side.
    """

    id: str
    title: str
    places: tuple[Place, ...] = ()
    tab: str = ""

    def screen(self) -> StepScreen:
        """A new screen of it; its module is loaded only now, to keep the first paint early."""
        make: Callable[[WizardStep], StepScreen] = _module(self).SCREEN
        return make(self)


STEPS = (
    WizardStep("hosts", N_("Hosts"), (("name",), ("hosts",), ("ssh",))),
    WizardStep("certificates", N_("Certificates"), (("pki",),), N_("Certs")),
    WizardStep("datastore", N_("Datastore"), (("datastore",),)),
    WizardStep("servers", N_("Servers"), (("k3s",), ("install",))),
    WizardStep("loadbalancer", N_("Load balancer"), (("loadbalancer",),), N_("Balancer")),
    WizardStep("agents", N_("Agents"), (("k3s", "agent-token"), ("k3s", "agent-config"))),
    WizardStep("review", N_("Review")),
)


def load_screens() -> None:
    """Load the modules of all steps."""
    for step in STEPS:
        _module(step)


def _module(step: WizardStep) -> ModuleType:
    return import_module(f"k3s_tui.tui.screens.{step.id}")


def number(step: str) -> int:
    """Which one it is, from 0."""
    return [one.id for one in STEPS].index(step)


def responsible_for(place: Place) -> WizardStep:
    """The step that asks for what lies there; the first one for what none asks for."""
    above = [(len(own), step) for step in STEPS for own in step.places if place[: len(own)] == own]
    return max(above, key=lambda each: each[0])[1] if above else STEPS[0]


def problems_of(step: WizardStep, problems: Iterable[ProfileProblem]) -> list[ProfileProblem]:
    """Those that this step is to tell: each problem is told by one step."""
    return [problem for problem in problems if responsible_for(problem.path) is step]
