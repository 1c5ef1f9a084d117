"""Signs packages with ed25519 and verifies signatures.

The signed data are the bytes of the manifest, which holds the sha256 of every file; the signature is in manifest.sig.
Keys are PEM files (PKCS 8 and SubjectPublicKeyInfo), as openssl reads and writes them. The `cryptography` package is
imported on use: a board that verifies no signature does not need it.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

from edgehar.config import option
from edgehar.errors import ConfigError, PackageError
from edgehar.files.atomic import atomic_file, check_writable, locked, naming
from edgehar.files.plain_files import read_plain
from edgehar.files.strict_json import strict_json
from edgehar.package.folder import SIGNATURE, EdgePackage

FORMAT, ALGORITHM = "edgehar-signature-1", "ed25519"
MAX_SIGNATURE_BYTES = 1 << 12
MAX_KEY_BYTES = 1 << 14
KEY_MODE = 0o600
_HEX = {"key": re.compile("[0-9a-f]{64}"), "signature": re.compile("[0-9a-f]{128}")}


def _public_bytes(public: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _key_id(public: Any) -> str:
    return hashlib.sha256(_public_bytes(public)).hexdigest()


def _read_key(path: Path, private: bool) -> Any:
    """The ed25519 key in a PEM file; raises ConfigError if it is not of the requested kind."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    kind = "private" if private else "public"
    try:
        with path.open("rb") as file:
            data = file.read(MAX_KEY_BYTES)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file; expected an ed25519 {kind} key; create one with 'edgehar package keygen'"
        ) from None
    try:
        key: Any = serialization.load_pem_private_key(data, None) if private else None
        key = serialization.load_pem_public_key(data) if key is None else key
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ed25519.Ed25519PrivateKey if private else ed25519.Ed25519PublicKey):
        raise ConfigError(
            f"{path}: not an ed25519 {kind} key without a password; expected a PEM file of 'edgehar package keygen'"
        )
    return key


def make_keys(name: Path) -> tuple[Path, Path, str]:
    """Write NAME.private.pem (mode 0600) and NAME.public.pem; returns both paths and the key id.

    Raises ConfigError if one of them exists, as keys are never overwritten, or if the folder does not exist.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    if not name.name:
        raise ConfigError(f"--out {str(name)!r}: expected a name for the key files, such as maker")
    private, public = name.with_name(f"{name.name}.private.pem"), name.with_name(f"{name.name}.public.pem")
    if not name.parent.is_dir():
        raise ConfigError(f"--out {name}: folder {name.parent} does not exist; create it or choose another --out")
    for path in (private, public):
        if os.path.lexists(path):
            raise ConfigError(f"{path} exists; keys are never overwritten; choose another --out")
    key = ed25519.Ed25519PrivateKey.generate()
    encoding = serialization.Encoding.PEM
    private_pem = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public_pem = key.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
    with ExitStack() as created:
        for path, content, mode in ((private, private_pem, KEY_MODE), (public, public_pem, 0o644)):
            # O_EXCL and the mode at creation: no other process can have the file open.
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
            created.callback(path.unlink)
            with naming(path), os.fdopen(descriptor, "wb") as file:
                file.write(content)
        created.pop_all()  # both are complete
    return private, public, _key_id(key.public_key())


def sign_package(path: Path, private_key: Path) -> str:
    """Sign a package, replacing its signature if it has one; returns the key id.

    Raises PackageError for a damaged package and ConfigError for an unusable key.
    """
    key = _read_key(private_key, private=True)
    manifests: list[bytes] = []
    EdgePackage.open(path, manifests.append)
    key_id = _key_id(key.public_key())
    entry = {"format": FORMAT, "algorithm": ALGORITHM, "key": key_id, "signature": key.sign(manifests[0]).hex()}
    with atomic_file(path / SIGNATURE) as temporary:
        temporary.write_text(json.dumps(entry, indent=1) + "\n")
    return key_id


def read_signature(folder: Path) -> dict[str, str] | None:
    """The unverified content of manifest.sig: format, algorithm, key (id) and signature (hex); None without the file.

    Raises PackageError if the content is malformed.
    """
    try:
        data = read_plain(folder, SIGNATURE, MAX_SIGNATURE_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        document: Any = strict_json(data)
    except ValueError:
        document = None
    entry = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    fixed = {"format": FORMAT, "algorithm": ALGORITHM}
    well_formed = set(entry) == set(fixed) | set(_HEX) and all(entry[name] == value for name, value in fixed.items())
    if not well_formed or not all(type(entry[name]) is str and _HEX[name].fullmatch(entry[name]) for name in _HEX):
        raise PackageError(
            f"{folder / SIGNATURE}: not a signature written by 'edgehar package sign'; sign the package again"
        )
    return entry


def key_option() -> Any:
    """The field of `--key`, for every command that opens a package; see `open_package`."""
    return option(None, "file of a public key (PEM, ed25519) that must have signed the package")


def personal_option() -> Any:
    """The field of `--personal`, for every command that recognises with a package."""
    return option(None, "personal file of edgehar enrol, correct or adapt; its activities come after the package's")


def open_package(path: Path | str, key: Path | str | None) -> EdgePackage:
    """Open a package, and check its signature if a key is given.

    Raises:
        PackageError: the package is damaged, or not signed with the key.
        ConfigError: an unusable key.
    """
    return EdgePackage.open(path, signature_check(path, key))


@contextmanager
def locked_package(path: Path | str, key: Path | str | None = None) -> Generator[EdgePackage]:
    """`open_package` for a block that changes the package, which no other process changes meanwhile.

    Raises BusyError if another one does, and ConfigError if nothing can be written beside the package.
    """
    open_package(path, key)  # a wrong path creates no lock
    folder = Path(path).resolve()
    check_writable(folder.with_name(f".{folder.name}.new"), "PACKAGE")  # the new package is made beside it
    with locked(folder, "PACKAGE"):
        yield open_package(path, key)


def signature_check(path: Path | str, key: Path | str | None) -> Callable[[bytes], None] | None:
    """The check that `EdgePackage.open` calls with the manifest's bytes: None without a key.

    The check raises PackageError unless the package has a valid signature of the manifest with this key.

    Raises ConfigError for an unusable key.
    """
    if key is None:
        return None
    folder, public = Path(path), _read_key(Path(key), private=False)

    def check(manifest: bytes) -> None:
        from cryptography.exceptions import InvalidSignature

        entry, key_id = read_signature(folder), _key_id(public)
        if entry is None:
            raise PackageError(f"{folder}: not signed; expected a signature with key {key_id}; sign it or get it again")
        if entry["key"] != key_id:
            raise PackageError(
                f"{folder}: signed with key {entry['key']}; expected key {key_id}; ask the author of the package"
            )
        try:
            public.verify(bytes.fromhex(entry["signature"]), manifest)
        except InvalidSignature:
            raise PackageError(
                f"{folder}: the manifest was changed after signing; expected the manifest that was signed; "
                "get the package again"
            ) from None

    return check
