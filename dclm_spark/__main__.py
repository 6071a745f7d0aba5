"""Runs `dclm-spark COMMAND` as `python -m dclm_spark COMMAND`."""

from dclm_spark.spark import interrupts


def main() -> int:
    """Runs the command of the process' arguments; raises SystemExit for any status but 0, see `cli.main`."""
    with interrupts.taken():  # handles signals that come while modules are imported
        from dclm_spark.cli.main import main as run

        return run()


if __name__ == "__main__":
    main()
