"""One run that nothing disturbs, from bare hosts to a second run: what the others are held to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.faults import trees
from tests.faults.audit import Desk, State, desk, state
from tests.lab.lab import Lab
from tests.lab.operators import Operators
from tests.lab.product import Done, Product


@dataclass(frozen=True)
class Story:
    """What was seen on the way."""

    operators: Operators
    product: Product
    bare: State
    plan: Done
    apply: Done
    after: State
    tree: trees.Tree
    again: Done
    afterwards: State
    desks: tuple[Desk, Desk, Desk]
    """The operator's folder before, after the first run, and after the second one."""


_told: list[Story] = []


def story(lab: Lab, folder: Path) -> Story:
    """Told once for a test session.  The hosts are what it left only for its first caller."""
    if not _told:
        lab.fresh()
        operators = Operators(lab, folder)
        product = operators.another()
        desks = [desk(product.folder)]
        bare, plan = state(lab), product.plan()
        apply = product.apply()
        assert apply.status == 0, apply
        after, tree = state(lab), trees.tree(lab) | trees.laptop(product.folder)
        desks.append(desk(product.folder))
        again = product.apply()
        desks.append(desk(product.folder))
        _told.append(
            Story(
                *(operators, product, bare, plan, apply, after, tree, again, state(lab)),
                desks=(desks[0], desks[1], desks[2]),
            )
        )
    return _told[0]
