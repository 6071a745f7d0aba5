"""`python -m dclm_spark COMMAND` is `dclm-spark COMMAND`."""

import sys

from dclm_spark.cli import main

sys.exit(main())
