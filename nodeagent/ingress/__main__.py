"""`python -m nodeagent.ingress`."""

import sys

from nodeagent.ingress.program import main

sys.exit(main(sys.argv[1:]))
