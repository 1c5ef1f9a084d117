"""Tests of signing packages and verifying signatures."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import edgehar
from edgehar import verbs
from edgehar.deploy.packaging import verify
from edgehar.deploy.packaging.command import main as package_main
from edgehar.deploy.runtime.tuned_profile import profile_path
from edgehar.entry import guarded
from edgehar.errors import ConfigError, PackageError
from edgehar.package.folder import amend_package
from tests.deploy import hostile
from tests.deploy.hostile import rejection
from tests.deploy.running import ROOT


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    pytest.importorskip("cryptography", reason="signatures need the sign extra")
    assert package_main(["keygen", "--out", str(tmp_path / "maker")]) == 0
    return tmp_path / "maker.private.pem", tmp_path / "maker.public.pem"


def sign(victim: Path, private: Path) -> None:
    assert package_main(["sign", str(victim), "--key", str(private)]) == 0


def test_signed_package_is_accepted(victim: Path, keys: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    private, public = keys
    assert "not signed" in rejection(victim, key=public)
    sign(victim, private)
    assert edgehar.load(victim, key=public).manifest.name == "tiny"
    assert verify.main([str(victim), "--key", str(public)]) == 0
    assert "signature" in capsys.readouterr().out
    assert verify.main([str(victim)]) == 0
    assert "--key" in capsys.readouterr().out


def test_signature_covers_the_bytes_of_the_manifest(victim: Path, keys: tuple[Path, Path]) -> None:
    from cryptography.hazmat.primitives import serialization

    private, public = keys
    sign(victim, private)
    entry = json.loads((victim / "manifest.sig").read_text())
    key: Any = serialization.load_pem_public_key(public.read_bytes())
    key.verify(bytes.fromhex(entry["signature"]), (victim / "manifest.json").read_bytes())
    hostile.edit(victim, lambda manifest: None)  # the same manifest in other bytes
    assert edgehar.load(victim).manifest.name == "tiny"
    assert "changed after signing" in rejection(victim, key=public)


def test_package_changed_after_signing_is_rejected(victim: Path, keys: tuple[Path, Path]) -> None:
    private, public = keys
    sign(victim, private)
    hostile.edit(victim, lambda manifest: manifest.update(labels=manifest["labels"][::-1]))
    assert "changed after signing" in rejection(victim, key=public)
    sign(victim, private)
    head = (victim / hostile.HEAD).read_bytes()
    (victim / hostile.HEAD).write_bytes(head[:-1] + b"\0")
    assert "sha256" in rejection(victim, key=public)
    assert verify.main([str(victim), "--key", str(public)]) == 2


def test_signature_of_another_key_is_rejected(victim: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    assert package_main(["keygen", "--out", str(tmp_path / "other")]) == 0
    sign(victim, tmp_path / "other.private.pem")
    assert "expected key" in rejection(victim, key=keys[1])
    # Stating the expected key id does not help.
    entry = json.loads((victim / "manifest.sig").read_text())
    expected = rejection(victim, key=keys[1]).partition("expected key ")[2][:64]
    (victim / "manifest.sig").write_text(json.dumps(entry | {"key": expected}))
    assert "changed after signing" in rejection(victim, key=keys[1])


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: entry.update(algorithm="none"),
        lambda entry: entry.update(format="edgehar-signature-2"),
        lambda entry: entry.update(signature=""),
        lambda entry: entry.update(signature="g" * 128),
        lambda entry: entry.update(signature=[0] * 64),
        lambda entry: entry.update(more=1),
        lambda entry: entry.pop("key"),
    ],
)
def test_malformed_signature_is_rejected(victim: Path, keys: tuple[Path, Path], change: Any) -> None:
    sign(victim, keys[0])
    entry = json.loads((victim / "manifest.sig").read_text())
    change(entry)
    (victim / "manifest.sig").write_text(json.dumps(entry))
    assert "not a signature" in rejection(victim, key=keys[1])


@pytest.mark.parametrize("content", [b"", b"[" * 4000, b"\xff", b" " * 5000])
def test_arbitrary_signature_file_is_rejected(victim: Path, keys: tuple[Path, Path], content: bytes) -> None:
    (victim / "manifest.sig").write_bytes(content)
    rejection(victim, key=keys[1])
    (victim / "manifest.sig").unlink()
    os.mkfifo(victim / "manifest.sig")
    rejection(victim, key=keys[1])


def test_amended_package_has_no_signature(victim: Path, keys: tuple[Path, Path]) -> None:
    sign(victim, keys[0])
    amend_package(victim, {}, metrics={"accuracy": 0.5})
    assert not (victim / "manifest.sig").exists()
    assert "not signed" in rejection(victim, key=keys[1])


def test_private_key_has_mode_600_and_is_never_overwritten(keys: tuple[Path, Path]) -> None:
    private, public = keys
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    before = private.read_bytes(), public.read_bytes()
    with pytest.raises(ConfigError, match="never overwritten"):
        package_main(["keygen", "--out", str(private.with_name("maker"))])
    assert (private.read_bytes(), public.read_bytes()) == before


def test_unusable_keys_are_rejected(victim: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    private, public = keys
    for key in (private, victim / "manifest.json"):
        with pytest.raises(ConfigError, match="ed25519 public key"):
            edgehar.load(victim, key=key)
    for key in (public, victim / "manifest.json"):
        with pytest.raises(ConfigError, match="ed25519 private key"):
            package_main(["sign", str(victim), "--key", str(key)])
    with pytest.raises(ConfigError, match=r"none\.pem"):
        edgehar.load(victim, key=tmp_path / "none.pem")
    assert not (victim / "manifest.sig").exists()


def test_missing_cryptography_is_reported_on_use_only(victim: Path) -> None:
    program = (
        "import sys; sys.modules['cryptography'] = None\n"
        "import edgehar; edgehar.load(sys.argv[1])\n"
        "from edgehar.cli import main; sys.exit(main(['verify', sys.argv[1], '--key', 'key.pem']))"
    )
    command = [sys.executable, "-c", program, str(victim)]
    completed = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert completed.returncode == 2
    assert "pip install 'edgehar[sign]'" in completed.stderr
    assert completed.stderr.count("\n") == 1


def test_unknown_action_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(package_main, ["burn"]) == 2
    assert "expected keygen, sign" in capsys.readouterr().err
    assert package_main([]) == 0
    assert "keygen" in capsys.readouterr().out


def test_every_command_that_opens_a_package_takes_a_key(victim: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    public = str(keys[1])
    options = {
        "verify": [],
        "run": ["--stdin"],
        "bench": [],
        "bench --tune": [],
        "evaluate": [],
        "evaluate --stream": [],
        "quantize": [],
        "calibrate": ["--out-of-fold", str(tmp_path / "none.npz")],
    }
    for verb, more in options.items():
        name, *mode = verb.split()
        if verb == "verify":
            assert verbs.call(name, [str(victim), "--key", public]) == 2
            continue
        with pytest.raises(PackageError, match="not signed; expected a signature with key"):
            verbs.call(name, [str(victim), *mode, *more, "--key", public])
    with pytest.raises(ConfigError, match="--compare with --key"):
        verbs.call("bench", ["--key", public, "--compare", "a.json"])


def test_profile_beside_a_signed_package_is_ignored_with_a_warning(victim: Path, keys: tuple[Path, Path]) -> None:
    private, public = keys
    sign(victim, private)
    profile = profile_path(victim)
    profile.write_text("{}")
    with pytest.warns(RuntimeWarning, match=f"{profile}: the package's signature does not cover it"):
        assert edgehar.load(victim, key=public).precision == "fp32"
    assert edgehar.load(victim, "fp32", key=public).precision == "fp32"
