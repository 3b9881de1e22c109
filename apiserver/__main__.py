"""python -m apiserver"""

import sys

from apiserver.program import main

sys.exit(main(sys.argv[1:]))
