"""What people notice when things break while they talk to the face.

Users converse while one kind of fault after another strikes: replicas of every stage die or hang,
an HTTP process and a node are lost, the disk fills up, everything is deployed anew or scaled down.
Each strike waits for a moment when its replica has calls in progress, and says how many; the next
one comes when all is as before. A turn is *broken* when it claims to be whole and is not.

    python -m benchmarks.chaos [--faults kill-asr,kill-avatar] [--turns 200] [--users 8]

Faults strike by pid, so the server must run on this machine. Prints tables and, last on stdout, one
line of JSON.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import httpx
import yaml

from benchmarks.chaos_cluster import spread
from benchmarks.chaos_disk import DiskError, SmallDisk, mounted
from benchmarks.chaos_faults import FAULTS, GAP_LIMITS_S, STAGE_FAULTS, Fault, Site, SkippedError
from benchmarks.chaos_figures import FaultRun, Strike
from benchmarks.chaos_load import Conversations, Load, LoadFailedError, conversing
from benchmarks.chaos_report import show_all
from benchmarks.chaos_striker import Striker, StrikerError, gcs_address_of
from benchmarks.chaos_verdicts import verdicts_of
from benchmarks.dashboard import Dashboard
from benchmarks.machine import Machine
from benchmarks.report import finish, progress
from benchmarks.server import LAUNCHER, Launched, ServerError, running
from graph.preflight import PROFILES

_FIRST_STRIKE_S = 4.0
_TWO_NODES = "benchmarks.chaos_cluster"


def main() -> int:
    """The command."""
    options = _options()
    machine = Machine()
    faults = [FAULTS[name] for name in options.faults.split(",")]
    runs: list[FaultRun] = []
    status = 0
    try:
        for run in _runs(faults, options):
            runs.append(run)
    except KeyboardInterrupt:
        status = 130
        progress("interrupted: this is what was seen until now")
    except (ServerError, StrikerError, LoadFailedError, DiskError, httpx.HTTPError) as error:
        status = 1
        progress(f"error: {type(error).__name__}: {error}")
    if runs:
        _report(runs, options, machine)
    return status


def _report(runs: Sequence[FaultRun], options: argparse.Namespace, machine: Machine) -> None:
    verdicts = verdicts_of(runs, STAGE_FAULTS, GAP_LIMITS_S, options.turns, options.users)
    shown = show_all(runs, tuple(GAP_LIMITS_S), verdicts)
    facts = machine.facts()
    print(f"\nMeasured on\n{Machine.describe(facts)}")
    settings = {
        name: getattr(options, name)
        for name in ("profile", "users", "turns", "answer_s", "delta_s")
    }
    finish("chaos", {"settings": settings, **shown}, facts)


def _options() -> argparse.Namespace:
    listed = "\n".join(f"  {fault.name:15} {fault.about}" for fault in FAULTS.values())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.chaos",
        description=__doc__,
        epilog=f"faults:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--faults", default=",".join(FAULTS), type=_fault_names, help="which (default: all)")
    add("--turns", default=200, type=int, help="in all while stages are struck (default: 200); "
        "each other fault gets as many as one of those")  # fmt: skip
    add("--users", default=8, type=int, help="who talk at once (default: 8)")
    add("--answer-s", default="20", help="seconds that an answer lasts, as 20 or 5-20")
    add("--pause-s", default="0-2", help="seconds from an answer to the next question")
    add("--every", default=6.0, type=float, help="seconds from recovery to the next strike")
    add("--delta-s", default=0.02, type=float, help="seconds that the rules take for each word, as "
        "a model would (default: 0.02); at once they could hardly be met at work")  # fmt: skip
    add("--profile", default="embedded", help="of the server that is started, a name or a file")
    add("--url", help="a server that runs already on this machine, with its dashboard")
    add("--dashboard", default="http://127.0.0.1:8265", help="of that server")
    add("--token-file", type=Path, help="with that dashboard's token; the server prints its path")
    options = parser.parse_args()
    if options.url and not options.token_file:
        parser.error("--url needs --token-file")
    return options


def _fault_names(text: str) -> str:
    if unknown := set(text.split(",")) - set(FAULTS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; see --help")
    return text


def _runs(faults: Sequence[Fault], options: argparse.Namespace) -> Iterator[FaultRun]:
    """Every fault on its server; those that need two nodes come last, on a server of their own."""
    plain = [fault for fault in faults if fault.needs != "node"]
    node = [fault for fault in faults if fault.needs == "node"]
    for group in (plain, node):
        if not group:
            continue
        if group is node and options.url:
            yield from (
                _skipped(fault, "needs a server that this program starts") for fault in group
            )
            continue
        with _site(group, options) as site:
            for fault in group:
                yield _run(fault, site, options)


def _skipped(fault: Fault, why: str) -> FaultRun:
    progress(f"{fault.name}: skipped, {why}")
    return FaultRun(fault.name, skipped=why)


@contextmanager
def _site(faults: Sequence[Fault], options: argparse.Namespace) -> Iterator[Site]:
    needs = {fault.needs for fault in faults}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="avatar-chaos-")))
        disk, pid = None, None
        if options.url:
            url = options.url
            dashboard = Dashboard(options.dashboard, options.token_file.read_text().strip())
        else:
            disk = _disk(stack) if "disk" in needs else None
            server = stack.enter_context(_server(options, "node" in needs, disk, folder))
            url, dashboard, pid = server.url, server.dashboard, server.process.pid
        (ingress, *_) = dashboard.wait_for_replicas("ingress", 1)
        striker = Striker(gcs_address_of(ingress.pid), dashboard.token, folder)
        yield Site(url, dashboard, stack.enter_context(striker), disk, pid, "node" in needs)


def _server(
    options: argparse.Namespace, has_two_nodes: bool, disk: SmallDisk | None, folder: Path
) -> AbstractContextManager[Launched]:
    progress(f"starting a server{' of two nodes' if has_two_nodes else ''} ...")
    return running(
        _profile(options, has_two_nodes, folder),
        data_dir=None if disk is None else disk.folder,
        module=_TWO_NODES if has_two_nodes else LAUNCHER,
        say=_keep_quiet,
    )


def _keep_quiet(line: str) -> None:
    """Ray reports every death that we bring about; what matters is in the error, if one comes."""


def _disk(stack: ExitStack) -> SmallDisk | None:
    try:
        return stack.enter_context(mounted())
    except DiskError as error:
        progress(f"no disk of our own: {error}")
        return None


def _profile(options: argparse.Namespace, has_two_nodes: bool, folder: Path) -> Path:
    """The profile with a model that takes its time, and on two nodes if there are."""
    named = PROFILES / f"{options.profile}.yaml"
    config = yaml.safe_load((named if named.exists() else Path(options.profile)).read_text())
    llm = config["applications"][0]["args"].get("llm", {})
    if llm.get("engine", "rules") == "rules":
        llm["options"] = {"delta_delay_s": options.delta_s, **llm.get("options", {})}
    path = folder / "chaos.yaml"
    path.write_text(yaml.safe_dump(spread(config) if has_two_nodes else config))
    return path


def _run(fault: Fault, site: Site, options: argparse.Namespace) -> FaultRun:
    """Load while the fault strikes again and again."""
    n_turns = _share(options)
    progress(f"{fault.name}: {fault.about}; {n_turns} turns of {options.users} users")
    load = Load(
        url=site.url,
        users=options.users,
        turns=n_turns,
        question=fault.question,
        answer_s=options.answer_s,
        pause_s=options.pause_s,
        check=_check(site.url),
    )
    try:
        with conversing(load) as conversations:
            strikes = list(_strikes(fault, site, conversations, options.every))
            return FaultRun(fault.name, tuple(strikes), tuple(conversations.records()))
    except SkippedError as error:
        return _skipped(fault, str(error))


def _check(url: str) -> str:
    """Whether answers can be compared with what they must be."""
    health = httpx.get(f"{url}/health", timeout=30).json()
    return "rules" if health["deployments"]["llm"]["engine"] == "rules" else "none"


def _share(options: argparse.Namespace) -> int:
    """How many turns one fault gets: all stage faults together get what was asked for."""
    n_stage_faults = sum(name in STAGE_FAULTS for name in options.faults.split(","))
    share: int = math.ceil(options.turns / (n_stage_faults or len(STAGE_FAULTS)))
    users: int = options.users
    return max(users, share)


def _strikes(
    fault: Fault, site: Site, conversations: Conversations, every_s: float
) -> Iterator[Strike]:
    """One blow after another while people converse; none any more once a stage stays away."""
    pause_s = _FIRST_STRIKE_S
    while not conversations.wait(pause_s):
        strike = fault.strike(site)
        took = "not yet" if strike.back_after_s is None else f"{strike.back_after_s:.1f} s later"
        progress(
            f"  {fault.name}: {strike.target}, {strike.n_in_flight} in flight; as before {took}"
            + (f"; {strike.note}" if strike.note else "")
        )
        yield strike
        if strike.back_after_s is None:
            break
        pause_s = every_s


if __name__ == "__main__":
    sys.exit(main())
