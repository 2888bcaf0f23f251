"""YAML that a host wrote: read without what makes a small file a large one."""

from __future__ import annotations

from typing import Any

CAP = 128 << 10
"""Characters; an ordinary configuration has some hundreds, a kubeconfig some thousands."""


def loaded(text: str) -> Any:
    """Mappings, lists and scalars.  Raises ValueError, which quotes nothing: it may be a secret.

    Aliases are refused: a few lines of them stand for more than any memory holds.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
            if self.check_event(yaml.AliasEvent):
                raise ValueError("YAML with aliases")
            return super().compose_node(parent, index)

    if len(text) > CAP:
        raise ValueError(f"YAML of more than {CAP >> 10} KiB")
    try:
        return yaml.load(text, Loader)
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError):
        raise ValueError("not YAML that can be read here") from None
