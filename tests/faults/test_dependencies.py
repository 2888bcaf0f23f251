"""What k3s-tui is made of: pinned by hash, checked when it is installed, and listed."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from tests import sbom
from tests.faults.tally import Tally

REPOSITORY = Path(__file__).parents[2]


def test_every_dependency_is_pinned_by_hash() -> None:
    found = sbom.pins(sbom.LOCK.read_text())
    assert len(found) > 20 and len({pin.name for pin in found}) == len(found)
    assert not re.search(r"^\s*-", sbom.LOCK.read_text().replace("\\\n", ""), re.MULTILINE)


@pytest.mark.parametrize(
    "line",
    [
        "click",
        "click>=8.1",
        "click==8.1.8",
        "click==8.* --hash=sha256:" + "0" * 64,
        "click==8.1.8 --hash=md5:" + "0" * 32,
        "click @ https://example.org/click.whl --hash=sha256:" + "0" * 64,
    ],
)
def test_a_dependency_that_is_not_pinned_is_found(line: str) -> None:
    with pytest.raises(ValueError, match="not pinned"):
        sbom.pins(line)


def test_the_lock_has_all_that_is_needed() -> None:
    """Of k3s-tui and of its extras; a package of another platform may be missing here."""
    locked = {pin.name for pin in sbom.pins(sbom.LOCK.read_text())}
    wanted = set(sbom.needed("k3s-tui", sbom.EXTRAS)) - {"k3s-tui"}
    here = {name for name in wanted if _installed(name)}
    assert {"asyncssh", "textual", "psycopg", "bcrypt"} <= here
    assert not here - locked


def test_hashes_are_asked_for_when_they_are_installed() -> None:
    for line in (REPOSITORY / "Makefile").read_text().splitlines():
        if "pip install" in line:
            assert "--require-hashes" in line or "--no-deps -e ." in line, line


def _installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def test_what_is_installed_is_what_was_locked() -> None:
    """Its versions, and every file that k3s-tui would import of them, by its recorded hash."""
    locked = {pin.name: pin.version for pin in sbom.pins(sbom.LOCK.read_text())}
    checked = 0
    for name in sorted(set(sbom.needed("k3s-tui")) - {"k3s-tui"}):
        if not _installed(name):
            continue
        found = metadata.distribution(name)
        assert found.version == locked[name], name
        for file in found.files or ():
            if file.hash is None or file.suffix not in (".py", ".so"):
                continue
            digest = hashlib.new(file.hash.mode, Path(str(file.locate())).read_bytes()).digest()
            value = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            assert value == file.hash.value, f"{file} was changed"
            checked += 1
    assert checked > 500


def test_a_package_that_was_tampered_with_is_not_installed(tmp_path: Path, tally: Tally) -> None:
    """pip, as the Makefile calls it, on a package of the test's own."""
    row = tally("P12", "a Python package that is not the locked one")
    wheel = tmp_path / "wheels" / "canary-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    _pack(wheel, "harmless = True\n")
    genuine = hashlib.sha256(wheel.read_bytes()).hexdigest()
    lock = tmp_path / "requirements.lock"

    def install(target: str, line: str) -> subprocess.CompletedProcess[str]:
        lock.write_text(f"{line}\n")
        options = ["--require-hashes", "--no-index", "--find-links", str(wheel.parent)]
        options += ["--no-cache-dir", "--disable-pip-version-check", "--target", target]
        return subprocess.run(
            [sys.executable, "-m", "pip", "install", "-qq", *options, "-r", str(lock)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
            timeout=60,
        )

    pinned = f"canary==1.0 --hash=sha256:{genuine}"
    assert install("right", pinned).returncode == 0
    assert (tmp_path / "right" / "canary.py").exists()
    row.injected += 2
    assert install("unpinned", "canary==1.0").returncode != 0
    row.survived += 1
    _pack(wheel, "import os; os.system('true')\n")
    done = install("wrong", pinned)
    assert done.returncode != 0 and genuine in done.stderr, done
    assert not (tmp_path / "wrong").exists()
    row.survived += 1


def _pack(wheel: Path, code: str) -> None:
    info = "canary-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("canary.py", code)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: canary\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{info}/RECORD", f"canary.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n")


def test_the_bill_of_materials_lists_all_of_it() -> None:
    """The same lock file gives the same bytes, and says what k3s-tui itself needs."""
    done = [
        subprocess.run(
            [sys.executable, "-m", "tests.sbom"], cwd=REPOSITORY, capture_output=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert done[0] == done[1]
    bill = json.loads(done[0])
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    components = {part["name"]: part for part in bill["components"]}
    pins = {pin.name: pin for pin in sbom.pins(sbom.LOCK.read_text())}
    assert components.keys() == pins.keys()
    for name, part in components.items():
        assert part["purl"] == f"pkg:pypi/{name}@{pins[name].version}"
        hashes = {entry["content"] for entry in part["externalReferences"][0]["hashes"]}
        assert hashes == {*pins[name].sha256}
    scopes = {name: part["scope"] for name, part in components.items()}
    assert scopes["asyncssh"] == scopes["bcrypt"] == scopes["textual"] == "required"
    assert (scopes["keyring"], scopes["pytest"]) == ("optional", "excluded")
    refs = {part["bom-ref"] for part in bill["components"]}
    refs.add(bill["metadata"]["component"]["bom-ref"])
    for entry in bill["dependencies"]:
        assert {entry["ref"], *entry["dependsOn"]} <= refs
