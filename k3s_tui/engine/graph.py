"""Steps as a graph: sound, in order, and reduced to what the operator asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from k3s_tui.core.contract import Step
from k3s_tui.core.errors import UsageError

Steps = tuple[Step[Any], ...]


def ordered(steps: Iterable[Step[Any]]) -> Steps:
    """The steps with every need before its reader, otherwise as given.

    Needs are objects that had to exist first, so a cycle cannot be written; what can go wrong is a
    need that was left out or an id used twice, and both are bugs of the procedure.
    """
    given = tuple(steps)
    known = set(given)
    seen_ids: set[str] = set()
    for step in given:
        if step.id in seen_ids:
            raise ValueError(f"two steps are called {step.id}")
        seen_ids.add(step.id)
        if missing := [need.id for need in step.needs if need not in known]:
            raise ValueError(f"{step.id} needs {missing}, which are not in the plan")
    done: dict[Step[Any], None] = {}

    def place(step: Step[Any]) -> None:
        if step not in done:
            for need in step.needs:
                place(need)
            done[step] = None

    for step in given:
        place(step)
    return tuple(done)


def select(
    steps: Sequence[Step[Any]], only: Sequence[str], always: Iterable[Step[Any]] = ()
) -> Steps:
    """The steps that `only` names, with everything they need, and those of `always`.

    Each pattern is the first part of an id (a host's name), an id, or a glob over ids
    (`*/servers/*`).  Raises UsageError for a pattern that names nothing.
    """
    if not only:
        return tuple(steps)
    wanted = set(always)
    for pattern in only:
        # By id and not by `step.host`: an agent's readiness is asked on a server.
        hits = [s for s in steps if pattern == s.id.partition("/")[0] or fnmatchcase(s.id, pattern)]
        if not hits:
            raise UsageError(
                f"--only {pattern} names no step",
                hint="give a host's name, a step's id as the plan shows it, or a glob over ids",
            )
        wanted.update(hits)
    for step in reversed(ordered(steps)):
        if step in wanted:
            wanted.update(step.needs)
    return tuple(step for step in steps if step in wanted)
