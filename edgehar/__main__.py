"""`python -m edgehar` is the `edgehar` command.

python -m edgehar --help
"""

import sys

from edgehar.cli import main

if __name__ == "__main__":
    sys.exit(main())
