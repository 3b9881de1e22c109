"""`python -m controllers`."""

import sys

from controllers.program import main

sys.exit(main(sys.argv[1:]))
