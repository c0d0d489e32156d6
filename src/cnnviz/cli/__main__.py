"""``python -m cnnviz.cli.dispatch``."""

import sys

from cnnviz.cli.dispatch import main

sys.exit(main())
