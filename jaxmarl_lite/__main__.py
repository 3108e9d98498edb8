"""`python -m jaxmarl_lite` is the command `jaxmarl-lite`."""

import sys

from jaxmarl_lite.cli.main import main

sys.exit(main())
