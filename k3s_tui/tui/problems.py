"""What is wrong with a profile, in the operator's language."""

from __future__ import annotations

from k3s_tui.profile.problem import ProfileProblem
from k3s_tui.tui.language import _


def tell(problem: ProfileProblem) -> str:
    """One problem: what is wrong, what was expected, what to try."""
    text = problem.message
    if problem.expected:
        text = f"{text}; {_('expected')}: {problem.expected}"
    if problem.help:
        text = f"{text}. {problem.help}"
    return text
