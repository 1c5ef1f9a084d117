"""Sign packages, and make the keys for it.

edgehar package keygen --out maker
"""

import sys
from collections.abc import Callable
from dataclasses import MISSING, dataclass
from pathlib import Path

from edgehar.command_line import Action, Parser
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


def keygen(options: KeygenOptions) -> int:
    """Make a pair of keys."""
    private, public, identity = make_keys(Path(options.out))
    sys.stdout.write(f"{private}: keep it secret\n{public}: give it to the boards\nkey {identity}\n")
    return 0


def sign(options: SignOptions) -> int:
    """Sign a package."""
    identity = sign_package(Path(options.package), Path(options.key))
    sys.stdout.write(f"{options.package}: signed with key {identity}\n")
    return 0


KEYGEN = Parser(KeygenOptions, "edgehar package keygen", "Make a pair of keys to sign packages with.")
SIGN = Parser(SignOptions, "edgehar package sign", "Sign a package: its manifest, and so every file.")
ACTIONS: dict[str, Callable[[list[str]], int]] = {"keygen": Action(KEYGEN, keygen), "sign": Action(SIGN, sign)}


def main(argv: list[str] | None = None) -> int:
    """Entry point of `edgehar package`."""
    return call_action("package", USAGE, ACTIONS, argv)


if __name__ == "__main__":
    sys.exit(guarded(main))
