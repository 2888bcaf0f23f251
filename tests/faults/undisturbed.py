"""One run that nothing disturbs, from bare hosts to a second run: what the others are held to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.faults import trees
from tests.faults.audit import State, state
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


_told: list[Story] = []


def story(lab: Lab, folder: Path) -> Story:
    """Told once for a test session.  The hosts are what it left only for its first caller."""
    if not _told:
        lab.fresh()
        operators = Operators(lab, folder)
        product = operators.another()
        bare, plan = state(lab), product.plan()
        apply = product.apply()
        assert apply.status == 0, apply
        after, tree = state(lab), trees.tree(lab) | trees.laptop(product.folder)
        again = product.apply()
        _told.append(Story(operators, product, bare, plan, apply, after, tree, again, state(lab)))
    return _told[0]
