"""A package may be signed: the exact bytes of its manifest, which holds the sha256 of every file, with ed25519.

The signature lies beside the manifest in manifest.sig. Keys are PEM files (PKCS 8 and SubjectPublicKeyInfo), as openssl
reads and writes them. Only signing and checking need the `cryptography` package, and it is imported where that happens,
so that a board without it runs packages whose signature nobody asks for.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from edgehar.errors import ConfigError, PackageError
from edgehar.files.atomic import atomic_file
from edgehar.files.plain_files import read_plain
from edgehar.files.strict_json import strict_json
from edgehar.package.folder import SIGNATURE, EdgePackage

FORMAT, ALGORITHM = "edgehar-signature-1", "ed25519"
MOST_SIGNATURE_BYTES = 1 << 12
MOST_KEY_BYTES = 1 << 14
KEY_MODE = 0o600
_HEX = {"key": re.compile("[0-9a-f]{64}"), "signature": re.compile("[0-9a-f]{128}")}


def _public_bytes(public: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _key_id(public: Any) -> str:
    return hashlib.sha256(_public_bytes(public)).hexdigest()


def _read_key(path: Path, private: bool) -> Any:
    """The key in a PEM file; ConfigError if it is not one of the kind asked for."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    kind = "private" if private else "public"
    try:
        with path.open("rb") as file:
            data = file.read(MOST_KEY_BYTES)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file; expected an ed25519 {kind} key; make a pair with 'edgehar package keygen'"
        ) from None
    try:
        key: Any = serialization.load_pem_private_key(data, None) if private else None
        key = serialization.load_pem_public_key(data) if key is None else key
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ed25519.Ed25519PrivateKey if private else ed25519.Ed25519PublicKey):
        raise ConfigError(
            f"{path}: not a {kind} key of ed25519 without a password; expected a PEM file of 'edgehar package keygen'"
        )
    return key


def make_keys(name: Path) -> tuple[Path, Path, str]:
    """Write NAME.private.pem, for the owner's eyes only, and NAME.public.pem; returns both and the key's id.

    Raises ConfigError if one of them is there already, as a key is never overwritten, or their folder is not.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    if not name.name:
        raise ConfigError(f"--out {str(name)!r}: expected the name of a pair of keys, such as maker")
    private, public = name.with_name(f"{name.name}.private.pem"), name.with_name(f"{name.name}.public.pem")
    if not name.parent.is_dir():
        raise ConfigError(f"--out {name}: there is no folder {name.parent}; make it or choose another --out")
    for path in (private, public):
        if os.path.lexists(path):
            raise ConfigError(f"{path}: is there already; a key is never overwritten; choose another --out")
    key = ed25519.Ed25519PrivateKey.generate()
    encoding = serialization.Encoding.PEM
    secret = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    open_part = key.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
    for path, content, mode in ((private, secret, KEY_MODE), (public, open_part, 0o644)):
        # Exclusive, and with its mode from the start: nobody else can have it open.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    return private, public, _key_id(key.public_key())


def sign_package(path: Path, private_key: Path) -> str:
    """Sign a whole package; an older signature is replaced. Returns the id of the key.

    Raises PackageError for a damaged package and ConfigError for an unusable key.
    """
    key = _read_key(private_key, private=True)
    seen: list[bytes] = []
    EdgePackage.open(path, seen.append)
    identity = _key_id(key.public_key())
    entry = {"format": FORMAT, "algorithm": ALGORITHM, "key": identity, "signature": key.sign(seen[0]).hex()}
    with atomic_file(path / SIGNATURE) as temporary:
        temporary.write_text(json.dumps(entry, indent=1) + "\n")
    return identity


def read_signature(folder: Path) -> dict[str, str] | None:
    """What manifest.sig says, unchecked: format, algorithm, key (its id) and signature (hex); None if there is none.

    Raises PackageError if it says anything else.
    """
    try:
        data = read_plain(folder, SIGNATURE, MOST_SIGNATURE_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        document: Any = strict_json(data)
    except ValueError:
        document = None
    entry = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    fixed = {"format": FORMAT, "algorithm": ALGORITHM}
    right = set(entry) == set(fixed) | set(_HEX) and all(entry[name] == value for name, value in fixed.items())
    if not right or not all(type(entry[name]) is str and _HEX[name].fullmatch(entry[name]) for name in _HEX):
        raise PackageError(
            f"{folder / SIGNATURE}: not a signature as 'edgehar package sign' writes it; sign the package again"
        )
    return entry


def approval(path: Path | str, key: Path | str | None) -> Callable[[bytes], None] | None:
    """What `EdgePackage.open` asks before it trusts a manifest: None without a key.

    Raises ConfigError for an unusable key; what is returned raises PackageError unless the manifest's bytes carry a
    signature of this very key.
    """
    if key is None:
        return None
    folder, public = Path(path), _read_key(Path(key), private=False)

    def approve(manifest: bytes) -> None:
        from cryptography.exceptions import InvalidSignature

        entry, identity = read_signature(folder), _key_id(public)
        if entry is None:
            raise PackageError(f"{folder}: not signed; expected a signature of key {identity}; sign it or get it again")
        if entry["key"] != identity:
            raise PackageError(
                f"{folder}: signed with key {entry['key']}; expected key {identity}; ask who made the package"
            )
        try:
            public.verify(bytes.fromhex(entry["signature"]), manifest)
        except InvalidSignature:
            raise PackageError(
                f"{folder}: the signature is not of this manifest, which was changed after signing; expected the "
                "manifest that was signed; get the package again"
            ) from None

    return approve
