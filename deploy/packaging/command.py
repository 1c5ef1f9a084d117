"""Create signing keys and sign packages.

edgehar package keygen --out maker
"""

import sys
from collections.abc import Callable
from dataclasses import MISSING, dataclass
from pathlib import Path

from edgehar.command_line import Action, Parser
from edgehar.config import Options, option, positional
from edgehar.deploy.runtime.signature import make_keys, sign_package
from edgehar.entry import call_action

USAGE = """usage: edgehar package ACTION [options]     (edgehar package ACTION --help for an action's own options)

  keygen     create a key pair: the private key signs, the public key is for the boards
  sign       sign a package with the private key; boards verify it with --key
"""


@dataclass(frozen=True)
class KeygenOptions(Options):
    """Key pair."""

    out: str = option(MISSING, "name of the key files: OUT.private.pem (keep it secret) and OUT.public.pem")


@dataclass(frozen=True)
class SignOptions(Options):
    """Signature."""

    package: str = positional("folder of the edge package")
    key: str = option(MISSING, "file of the private key (PEM, ed25519)")


def keygen(options: KeygenOptions) -> int:
    """Create a key pair."""
    private, public, key_id = make_keys(Path(options.out))
    sys.stdout.write(f"{private}: keep it secret\n{public}: copy it to the boards\nkey {key_id}\n")
    return 0


def sign(options: SignOptions) -> int:
    """Sign a package."""
    key_id = sign_package(Path(options.package), Path(options.key))
    sys.stdout.write(f"{options.package}: signed with key {key_id}\n")
    return 0


KEYGEN = Parser(KeygenOptions, "edgehar package keygen", "Create a key pair to sign packages with.")
SIGN = Parser(
    SignOptions, "edgehar package sign", "Sign a package: its manifest, which holds the checksum of every file."
)
ACTIONS: dict[str, Callable[[list[str]], int]] = {"keygen": Action(KEYGEN, keygen), "sign": Action(SIGN, sign)}


def main(argv: list[str] | None = None) -> int:
    """Entry point of `edgehar package`."""
    return call_action("package", USAGE, ACTIONS, argv)
