"""spark-submit jobs/thresholds.py: derives limits for other languages, with the options of `dclm-spark thresholds`."""

import sys

from dclm_spark.cli import main

if __name__ == "__main__":
    sys.exit(main(["thresholds", *sys.argv[1:]]))
