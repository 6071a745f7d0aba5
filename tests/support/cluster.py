"""A standalone Spark cluster of real processes on this machine, from the pyspark that pip installed."""

import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from pyspark.find_spark_home import _find_spark_home

START_SECONDS = 600
STOP_SECONDS = 15


@dataclass(frozen=True)
class Cluster:
    """A running master and its workers.

    Attributes:
        url: `spark://127.0.0.1:port`, the master of a session.
        folder: Logs of the daemons, and a work folder for each worker with the logs of its executors.
        workers: The daemons; each starts the executors of an application as its children.
        config: The settings a session needs so that each worker gets one executor, and reaches the driver.
    """

    url: str
    folder: Path
    workers: tuple[subprocess.Popen, ...]
    config: dict[str, str] = field(default_factory=dict)

    def executor_pids(self) -> list[int]:
        """The JVMs that run tasks now, in the order of the workers; empty before the first session has started."""
        pids = []
        for worker in self.workers:
            for child in psutil.Process(worker.pid).children(recursive=True):
                try:
                    if "CoarseGrainedExecutorBackend" in " ".join(child.cmdline()):
                        pids.append(child.pid)
                except psutil.NoSuchProcess:
                    continue
        return pids


@contextmanager
def standalone_cluster(workers: int = 2, cores: int = 1, memory: str = "900m") -> Iterator[Cluster]:
    """A master and `workers` workers on loopback and free ports, gone at the end whatever happens.

    Args:
        workers: How many, each with one executor of all its cores.
        cores: Of each worker.
        memory: What each worker lends; an executor's heap takes 700 MB of it at most.
    """
    processes: list[subprocess.Popen] = []
    with tempfile.TemporaryDirectory(prefix="spark-cluster-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        try:
            deploy = "org.apache.spark.deploy"
            master = _daemon(folder, processes, "master", f"{deploy}.master.Master", "--port", "0")
            url = _await(master, r"Starting Spark master at (spark://\S+)")
            for number in range(workers):
                label = f"worker-{number}"
                arguments = ("--port", "0", "--cores", str(cores), "--memory", memory)
                work = ("--work-dir", str(folder / label))
                _daemon(folder, processes, label, f"{deploy}.worker.Worker", *arguments, *work, url)
            for number in range(workers):
                _await(folder / f"worker-{number}.log", r"Successfully registered with master")
            config = {
                "spark.executor.cores": str(cores),
                "spark.executor.memory": "700m",
                "spark.driver.host": "127.0.0.1",
                "spark.driver.bindAddress": "127.0.0.1",
            }
            yield Cluster(url=url, folder=folder, workers=tuple(processes[1:]), config=config)
        finally:
            _stop(processes)


def _daemon(folder: Path, processes: list[subprocess.Popen], label: str, main: str, *arguments: str) -> Path:
    """Starts one daemon, appends it to `processes`, and gives its log."""
    log = folder / f"{label}.log"
    command = [str(Path(_find_spark_home()) / "bin" / "spark-class"), main, "--host", "127.0.0.1", "--webui-port", "0"]
    # Its own session: a Ctrl-C meant for the tests must not end the daemons before the tests have let go of them.
    with log.open("wb") as out:
        processes.append(
            subprocess.Popen(
                [*command, *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
        )
    return log


def _await(log: Path, pattern: str) -> str:
    """The first group of `pattern` once the log holds it, else the whole match."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if found := re.search(pattern, log.read_text(errors="replace")):
            return found[1] if found.groups() else found[0]
        time.sleep(0.2)
    raise TimeoutError(f"{log.name} never said {pattern!r}:\n{log.read_text(errors='replace')[-2000:]}")


def _stop(processes: list[subprocess.Popen]) -> None:
    """Ends the workers, then the master, then whatever they leave behind."""
    family: list[psutil.Process] = []
    for process in reversed(processes):
        try:
            own = psutil.Process(process.pid)
            family += [*own.children(recursive=True), own]
        except psutil.NoSuchProcess:
            continue
    for process in reversed(processes):
        process.terminate()
    _, alive = psutil.wait_procs(family, timeout=STOP_SECONDS)
    for survivor in alive:
        try:
            survivor.kill()
        except psutil.NoSuchProcess:
            continue
    for process in processes:
        process.wait(timeout=STOP_SECONDS)
