"""Makes `python -m keras_netopt` the same as `keras-netopt`."""

import sys

from keras_netopt.cli import main

if __name__ == "__main__":
    sys.exit(main())
