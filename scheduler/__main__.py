"""`python -m scheduler`."""

import sys

from scheduler.program import main

sys.exit(main(sys.argv[1:]))
