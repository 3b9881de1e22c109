"""`python -m nodeagent`."""

import sys

from nodeagent.program import main

sys.exit(main(sys.argv[1:]))
