"""The `edgehar` command.

edgehar quickstart
"""

import sys


def main(argv: list[str] | None = None) -> int:
    """Entry point of the `edgehar` command."""
    try:
        from edgehar.verbs import dispatch  # here, so that Ctrl-C during the import ends without a traceback

        return dispatch(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        sys.stderr.write("\nedgehar: interrupted\n")
        return 130  # 128 + SIGINT


if __name__ == "__main__":
    sys.exit(main())
