"""`python -m benchmarks.without_age STORE k3s-tui-arguments`: k3s-tui, but with the secret store's
content read from the file STORE instead of being derived and decrypted, which is measured apart.
"""

from __future__ import annotations

import sys
from pathlib import Path

from k3s_tui.profile import age


async def _given(sealed: bytes, passphrase: str) -> bytes:
    return _CONTENT


_CONTENT = Path(sys.argv[1]).read_bytes()
age.decrypt = _given
sys.argv = ["k3s-tui", *sys.argv[2:]]

from k3s_tui.cli import main  # noqa: E402

main()
