"""A real SLURM of one node, in a folder of its own: munged, slurmctld and slurmd as children of the test session."""

from __future__ import annotations

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
SchedulerParameters=batch_sched_delay=0,sched_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
MinJobAge=3600
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory={memory_mb} Gres=gpu:1 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
GPU = "Name=gpu Count=1 File=/dev/null\n"  # a device that every machine has: SLURM counts it, no job touches it
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


@pytest.fixture(scope="session")
def slurm(require_tool: Callable[[str], str]) -> Iterator[Cluster]:
    """A running one-node cluster on loopback; the session's end stops exactly the processes started here."""
    munged, controller, node = (require_tool(name) for name in ("munged", "slurmctld", "slurmd"))
    for client in ("sbatch", "srun", "squeue", "scontrol", "sinfo"):
        require_tool(client)
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # short: a socket's path has 108 bytes at most
    cluster = Cluster(folder=folder, environment=_environment(folder))
    _write_configuration(folder)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.enter_context(_daemon(folder, cluster, munged, *_munge_options(folder)))
        _wait_until((folder / "munge.socket").exists, "munged opens its socket", folder)
        stack.enter_context(_daemon(folder, cluster, controller, "-D", "-i", "-f", str(folder / "slurm.conf")))
        stack.enter_context(_daemon(folder, cluster, node, "-D", "-f", str(folder / "slurm.conf")))
        _wait_until(lambda: _node_is_idle(cluster), "the node is idle", folder)
        yield cluster


def _environment(folder: Path) -> dict[str, str]:
    """This process's environment with SLURM pointed at ``folder`` and the tests' interpreter first on PATH."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "SBATCH", "SRUN"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return kept | {"PATH": path, "SLURM_CONF": str(folder / "slurm.conf"), "OMP_NUM_THREADS": "1"}


def _write_configuration(folder: Path) -> None:
    for name in ("state", "spool"):
        (folder / name).mkdir()
    controller_port, node_port = _free_ports(2)
    import getpass

    text = CONFIGURATION.format(
        folder=folder,
        host=socket.gethostname().split(".")[0],
        user=getpass.getuser(),
        controller_port=controller_port,
        node_port=node_port,
        memory_mb=64_000,
    )
    (folder / "slurm.conf").write_text(text)
    (folder / "gres.conf").write_text(GPU)
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o400)


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
def _daemon(folder: Path, cluster: Cluster, program: str, *arguments: str) -> Iterator[None]:
    with (folder / f"{Path(program).name}.out").open("wb") as out:
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


def _node_is_idle(cluster: Cluster) -> bool:
    command = ["sinfo", "--noheader", "--format=%T"]
    answer = subprocess.run(command, env=cluster.environment, capture_output=True, text=True, timeout=30, check=False)
    return answer.stdout.strip() == "idle"


def _wait_until(true: Callable[[], bool], what: str, folder: Path) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        if time.monotonic() > deadline:
            logs = "\n".join(f"--- {p.name}\n{p.read_text()[-2000:]}" for p in folder.glob("*.[lo][ou][gt]"))
            pytest.fail(f"waited {DEADLINE_S} s until {what}\n{logs}")
        time.sleep(0.1)
