"""Sign packages, and make the keys for it.

edgehar package keygen --out maker
"""

import sys
from dataclasses import MISSING, dataclass
from pathlib import Path

from edgehar.command_line import parse
from edgehar.config import option, positional
from edgehar.deploy.runtime.signature import make_keys, sign_package
from edgehar.entry import call_action, guarded

USAGE = """usage: edgehar package ACTION [options]     (edgehar package ACTION --help for an action's own options)

  keygen     make a pair of keys: a private one to sign with, a public one for the boards
  sign       sign a package with the private key; boards check it with --key
"""


@dataclass(frozen=True)
class KeygenOptions:
    """Options of `edgehar package keygen`."""

    out: str = option(MISSING, "writes OUT.private.pem, which stays secret, and OUT.public.pem")


@dataclass(frozen=True)
class SignOptions:
    """Options of `edgehar package sign`."""

    package: str = positional("folder of the edge package")
    key: str = option(MISSING, "file of the private key (PEM, ed25519)")


def keygen(argv: list[str]) -> int:
    """Make a pair of keys."""
    options = parse(KeygenOptions, argv, "edgehar package keygen", "Make a pair of keys to sign packages with.")
    private, public, identity = make_keys(Path(options.out))
    sys.stdout.write(f"{private}: keep it secret\n{public}: give it to the boards\nkey {identity}\n")
    return 0


def sign(argv: list[str]) -> int:
    """Sign a package."""
    options = parse(SignOptions, argv, "edgehar package sign", "Sign a package: its manifest, and so every file.")
    identity = sign_package(Path(options.package), Path(options.key))
    sys.stdout.write(f"{options.package}: signed with key {identity}\n")
    return 0


ACTIONS = {"keygen": keygen, "sign": sign}


def main(argv: list[str] | None = None) -> int:
    """Entry point of `edgehar package`."""
    return call_action("package", USAGE, ACTIONS, argv)


if __name__ == "__main__":
    sys.exit(guarded(main))
