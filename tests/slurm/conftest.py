"""A real SLURM of one node, in a folder of its own: munged, slurmctld and slurmd as children of the test session."""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

CONFIGURATION = """\
ClusterName=stainscript
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldDebug=info
MailProg=/bin/true
MpiDefault=none
SwitchType=switch/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
MinJobAge=3600
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=64000 Gres=gpu:1 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
# A device that every machine has: SLURM counts it, and no variable tells a job that CUDA could use it.
GPU = "Name=gpu Count=1 File=/dev/null Flags=no_gpu_env\n"
DEADLINE_S = 60


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Where a test cluster keeps its files, and the environment in which SLURM's commands find it."""

    folder: Path
    environment: dict[str, str]

    def run(self, *command: str) -> str:
        """Standard output of a SLURM command."""
        answer = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=True)
        return answer.stdout

    def jobs(self) -> list[dict[str, str]]:
        """Every job that the controller remembers, oldest first, as ``scontrol`` describes it."""
        lines = self.run("scontrol", "--oneliner", "show", "jobs").splitlines()
        jobs = [dict(f.split("=", 1) for f in line.split() if "=" in f) for line in lines if line.startswith("JobId=")]
        return sorted(jobs, key=lambda job: int(job["JobId"]))

    def hurry(self, first_look_s: int) -> list[str]:
        """Options for a test: when to look at submissions first, each look without news adding 10 s to the next."""
        return ["--slurm-init-seconds-before-status-checks", str(first_look_s), "--latency-wait", "5"]

    def logs(self) -> str:
        """The last lines of the daemons' logs, for the message of a failed test."""
        paths = sorted([*self.folder.glob("*.log"), *self.folder.glob("*.out")])
        return "\n".join(f"--- {path.name}\n{path.read_text()[-2000:]}" for path in paths)


@pytest.fixture(scope="session")
def slurm(require_tool: Callable[[str], str]) -> Iterator[Cluster]:
    """A running one-node cluster on loopback; the session's end stops exactly the processes started here."""
    munged, controller, node, srun = (require_tool(name) for name in ("munged", "slurmctld", "slurmd", "srun"))
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # short: a socket's path has 108 bytes at most
    cluster = Cluster(folder=folder, environment=_environment(folder))
    _write_configuration(folder, srun)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.enter_context(_daemon(cluster, munged, *_munge_options(folder)))
        _wait_until((folder / "munge.socket").exists, "munged opens its socket", cluster)
        stack.enter_context(_daemon(cluster, controller, "-D", "-i", "-f", str(folder / "slurm.conf")))
        stack.enter_context(_daemon(cluster, node, "-D", "-f", str(folder / "slurm.conf")))
        _wait_until(lambda: _node_is_idle(cluster), "the node is idle", cluster)
        stack.callback(_end_jobs, cluster)
        yield cluster


def _environment(folder: Path) -> dict[str, str]:
    """This process's environment with SLURM pointed at ``folder`` and the tests' interpreter first on PATH."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "SBATCH", "SRUN"))}
    path = os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), kept["PATH"]])
    return kept | {"PATH": path, "SLURM_CONF": str(folder / "slurm.conf"), "OMP_NUM_THREADS": "1"}


def _write_configuration(folder: Path, srun: str) -> None:
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir()
    controller_port, node_port = _free_ports(2)
    text = CONFIGURATION.format(
        folder=folder,
        host=socket.gethostname().split(".")[0],
        user=getpass.getuser(),
        controller_port=controller_port,
        node_port=node_port,
    )
    (folder / "slurm.conf").write_text(text)
    (folder / "gres.conf").write_text(GPU)
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)
    # The executor plugin drops SLURM_CONF before it calls srun, as a site's own configuration is in its usual place.
    wrapper = folder / "bin" / "srun"
    wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {srun} "$@"\n')
    wrapper.chmod(0o755)


def _munge_options(folder: Path) -> list[str]:
    named = {"socket": "munge.socket", "key-file": "munge.key", "pid-file": "munge.pid", "log-file": "munge.log"}
    return ["--foreground", "--force", f"--seed-file={folder}/munge.seed"] + [
        f"--{option}={folder / name}" for option, name in named.items()
    ]


def _free_ports(n: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def _daemon(cluster: Cluster, program: str, *arguments: str) -> Iterator[None]:
    with (cluster.folder / f"{Path(program).name}.out").open("wb") as out:
        process = subprocess.Popen([program, *arguments], env=cluster.environment, stdout=out, stderr=out)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _end_jobs(cluster: Cluster) -> None:
    """Cancel what a failed test left behind, while there is still a daemon that ends its processes."""
    cluster.run("scancel", "--user", getpass.getuser())
    _wait_until(lambda: cluster.run("squeue", "--noheader") == "", "no job is left", cluster)


def _node_is_idle(cluster: Cluster) -> bool:
    command = ["sinfo", "--noheader", "--format=%T"]
    answer = subprocess.run(command, env=cluster.environment, capture_output=True, text=True, timeout=30, check=False)
    return answer.stdout.strip() == "idle"


def _wait_until(true: Callable[[], bool], what: str, cluster: Cluster) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {DEADLINE_S} s until {what}\n{cluster.logs()}")
        time.sleep(0.1)
