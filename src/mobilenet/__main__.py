"""`python -m mobilenet` is the command `mobilenet`."""

import sys

from mobilenet.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
