from __future__ import annotations

import pytest

from k3s_tui.resources.k3s.documents import CAP, loaded

BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)


def test_what_a_configuration_is() -> None:
    text = "# by hand\nnode-ip: 10.0.0.1\nlabels: [a=b]\nmap: {a: 1}\n"
    assert loaded(text) == {"node-ip": "10.0.0.1", "labels": ["a=b"], "map": {"a": 1}}
    assert loaded("") is None


@pytest.mark.parametrize(
    "text",
    [
        *(BOMB, "a: &a [*a]", "<<: &a {b: *a}", "a: &a b\nc: *a"),
        *("a: [", "\x00", "? [a]\n: b", "[" * 5000, "a: 2026-99-99", "a: " + "9" * 5000),
        *("!!python/object/apply:os.system ['true']", "a: " + "b" * CAP, "a: .\n--- b"),
    ],
)
def test_what_is_refused_is_not_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="YAML") as caught:
        loaded(text)
    assert len(str(caught.value)) < 60 and caught.value.__cause__ is None
