# SPDX-License-Identifier: BSD-2-Clause
"""`python -m liquid_accel.cli`: the same as `liquid`."""

import sys

from liquid_accel.cli import main

if __name__ == "__main__":
    sys.exit(main())
