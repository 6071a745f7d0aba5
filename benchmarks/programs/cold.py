"""What machine code costs a process that has none: python -m benchmarks.programs.cold

Prints as JSON, a recipe, the CPU seconds of the first batch of one page: `driver`, with nothing compiled, which it then
hands on; `worker`, with another empty folder and what the driver has handed on; `next`, in the same folder again. Each
in a process of its own, imports not counted.
"""

import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RECIPES = ("dclm_baseline", "fineweb")


def first_batch(recipe_name: str, role: str, file: str) -> float:
    """CPU seconds of this process's first batch, the keeping of code that it was given included."""
    from dclm_spark.kernels.compiled.machine_code import keep, machine_code
    from dclm_spark.kernels.signals.annotate import annotate_batch
    from dclm_spark.recipe.builtin import RECIPES as ALL
    from dclm_spark.stages.annotated import SAMPLE

    recipe = ALL[recipe_name]
    began = time.process_time()
    if role == "driver":
        code = machine_code(recipe_name, lambda: annotate_batch(SAMPLE, recipe.annotation, recipe.groups))
        seconds = time.process_time() - began
        Path(file).write_bytes(pickle.dumps(code))
        return seconds
    keep(pickle.loads(Path(file).read_bytes()))
    annotate_batch(SAMPLE, recipe.annotation, recipe.groups)
    return time.process_time() - began


def measure(recipe_name: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="dclm_spark-bench-") as scratch:
        file, seconds = Path(scratch) / "code", {}
        for name, role, folder in (("driver", "driver", "a"), ("worker", "worker", "b"), ("next", "worker", "b")):
            command = [sys.executable, "-m", "benchmarks.programs.cold", recipe_name, role, str(file)]
            environment = os.environ | {"NUMBA_CACHE_DIR": str(Path(scratch) / folder)}
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
            seconds[name] = float(done.stdout)
        return seconds


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(first_batch(*sys.argv[1:]))
    else:
        print(json.dumps({name: measure(name) for name in RECIPES}))
