"""The arithmetic of the chaos benchmark: what a strike did to a turn, and what that is worth."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from benchmarks.chaos_cluster import HEAD, spread
from benchmarks.chaos_faults import FAULTS, GAP_LIMITS_S, STAGE_FAULTS, heard_of
from benchmarks.chaos_figures import Effect, FaultRun, Strike, effect_of
from benchmarks.chaos_report import show_all
from benchmarks.chaos_striker import StrikerError, gcs_address_of
from benchmarks.chaos_verdicts import verdicts_of
from benchmarks.dashboard import Replica, running_of
from benchmarks.load_record import Outcome, TurnRecord
from benchmarks.report import Verdict
from graph.config import read_config
from graph.preflight import PROFILES

ASKED_AT = 1000.0


def turn(
    outcome: Outcome = "finished",
    arrivals: tuple[tuple[float, float], ...] = (),
    ladder: tuple[dict[str, Any], ...] = (),
    **more: Any,
) -> TurnRecord:
    return TurnRecord(
        user=0, number=1, attempt=1, kind="typed", endpoint="stream", asked_at=ASKED_AT,
        outcome=outcome, arrivals=arrivals, ladder=ladder, **{"end_s": 9.0, **more},
    )  # fmt: skip


def step(level: str, from_s: float, to_s: float) -> dict[str, Any]:
    return {"level": level, "from_s": from_s, "to_s": to_s}


def rounded(effect: Effect | None) -> tuple[float, float, int] | None:
    """In hand, gap, late fragments."""
    if effect is None:
        return None
    return round(effect.lead_s, 3), round(effect.gap_s, 3), effect.n_late


def seen(at_s: float, until_s: float, one: TurnRecord) -> tuple[float, float, int] | None:
    """The effect of a strike ``at_s`` after the question, until ``until_s`` after it."""
    return rounded(effect_of(ASKED_AT + at_s, ASKED_AT + until_s, one))


# It plays from 0.5 s on; at 1.0 s it has half a second behind it and another half in hand.
STEADY = ((0.5, 0.0), (0.6, 0.2), (0.7, 0.4), (0.8, 0.6), (0.9, 0.8), (1.2, 1.0), (1.5, 1.2))


def test_a_viewer_with_enough_in_hand_sees_no_gap() -> None:
    assert seen(1.0, 9.0, turn(arrivals=STEADY)) == (0.5, 0.0, 0)


def test_a_fragment_that_comes_after_its_time_is_a_gap_and_late() -> None:
    late = (*STEADY[:5], (2.25, 1.0), (2.3, 1.2))
    # 1.0 s was due 1.5 s after the question and 1.2 s at 1.7.
    assert seen(1.0, 9.0, turn(arrivals=late)) == (0.5, 0.75, 2)


def test_fifty_milliseconds_late_is_in_time() -> None:
    effect = seen(1.0, 9.0, turn(arrivals=(*STEADY[:5], (1.549, 1.0))))
    assert effect == (0.5, 0.049, 0)


def test_what_stood_in_for_the_face_is_a_gap_though_nothing_was_late() -> None:
    ladder = (
        step("half_rate", 0.4, 0.8),
        step("idle_face", 1.0, 1.4),
        step("voice_only", 1.4, 1.6),
        step("idle_face", 2.0, 2.2),
    )
    effect = seen(1.0, 9.0, turn("ladder", (*STEADY, (1.6, 1.4), (1.7, 1.6), (1.8, 1.8)), ladder))
    assert effect == (0.5, 0.6, 0)


def test_only_what_came_after_the_strike_and_before_the_next_counts() -> None:
    ladder = (step("idle_face", 0.2, 0.8), step("idle_face", 1.4, 2.4))
    arrivals = (*STEADY, (3.0, 1.4), (3.1, 2.4))
    one = turn("ladder", arrivals, ladder)
    # Hidden from 0.7 to 1.3 s and from 1.9 to 2.9 s after the question; 1.4 s is 1.1 s late then.
    assert seen(1.0, 2.0, one) == (0.5, 0.3, 0)
    assert seen(1.0, 2.6, one) == (0.5, 0.7, 0)
    assert seen(1.0, 9.0, one) == (0.5, 1.1, 2)


@pytest.mark.parametrize("at_s", [0.4, 1.5, 5.0])
def test_a_strike_before_the_first_picture_or_after_the_last_has_no_viewer(at_s: float) -> None:
    assert seen(at_s, 9.0, turn(arrivals=STEADY)) is None
    assert seen(at_s, 9.0, turn("error")) is None


def struck(n_in_flight: int, at_s: float = 1.0, back_s: float | None = 3.0) -> Strike:
    return Strike(ASKED_AT + at_s, "avatar 7", n_in_flight, back_s)


def test_each_strike_is_counted_until_the_next_one() -> None:
    late = turn(arrivals=(*STEADY[:5], (2.25, 1.0), (2.3, 1.2), (2.4, 1.4)))
    run = FaultRun("kill-avatar", (struck(1), struck(2, 2.27)), (late,))
    assert [rounded(effect) for effect in run.effects()] == [
        (0.5, 0.75, 1),
        (-0.57, 0.6, 2),
    ]


def test_a_run_counts_whom_it_met_and_how_they_ended() -> None:
    turns = (turn(), turn("ladder"), turn("refused"), turn("cut"), turn())
    run = FaultRun("kill-tts", (struck(0), struck(3)), turns)
    assert (run.n_admitted, run.n("finished"), run.n("finished", "ladder")) == (4, 2, 3)
    assert (run.n_struck_at_work, run.n_in_flight) == (1, 3)


# Verdicts.


def verdicts(*runs: FaultRun, n_turns: int = 2) -> dict[str, Verdict]:
    found = verdicts_of(runs, STAGE_FAULTS, GAP_LIMITS_S, n_turns, 8)
    return {verdict.figure: verdict for verdict in found}


FAILED = "... neither whole nor on the ladder (nor, by the LLM's loss, shortened and marked)"
BROKEN = "turns silently broken, all faults"


@pytest.mark.parametrize(
    ("fault", "outcome", "is_ok"),
    [
        ("kill-tts", "finished", True),
        ("kill-tts", "ladder", True),
        ("kill-tts", "refused", True),
        ("kill-tts", "shortened", False),
        ("kill-llm", "shortened", True),
        ("kill-llm", "error", False),
        ("kill-avatar", "cut", False),
        ("kill-asr", "broken", False),
    ],
)
def test_only_the_models_loss_may_shorten_a_turn(fault: str, outcome: Outcome, is_ok: bool) -> None:
    found = verdicts(FaultRun(fault, (struck(1),), (turn(), turn(), turn(outcome))))
    assert found[FAILED].is_ok is is_ok
    assert found["turns admitted while stages were struck"].is_ok
    assert found[BROKEN].is_ok is (outcome != "broken")


def test_a_fault_that_never_met_work_proves_nothing() -> None:
    run = FaultRun("kill-avatar", (struck(0),), (turn(arrivals=STEADY),))
    found = verdicts(run)
    assert found["kinds of stage faults that never met a call in progress"].is_ok is False
    assert found["kill-avatar: gap seen by the viewer, worst"].is_ok is None


def test_nothing_measured_is_no_success() -> None:
    found = verdicts(FaultRun("kill-avatar", skipped="no such deployment"))
    assert found[FAILED].is_ok is None
    assert found[BROKEN].is_ok is None
    assert found["kill-avatar: gap seen by the viewer, worst"].row()[2] == "- no such deployment"


@pytest.mark.parametrize(("until_s", "is_ok"), [(2.0, True), (2.1, False)])
def test_the_gap_is_the_worst_viewers(until_s: float, is_ok: bool) -> None:
    hidden = turn("ladder", (*STEADY, (1.6, until_s)), (step("idle_face", 1.0, until_s),))
    run = FaultRun("kill-avatar", (struck(1),), (turn(arrivals=STEADY), hidden))
    gap = verdicts(run)["kill-avatar: gap seen by the viewer, worst"]
    assert gap.measured == pytest.approx(until_s - 1.0)
    assert Verdict(gap.figure, gap.must, round(until_s - 1.0, 6), 1.0, "s").is_ok is is_ok


def test_who_has_two_seconds_in_hand_must_notice_nothing() -> None:
    ahead = tuple((0.5 + 0.1 * i, 0.2 * i) for i in range(30))
    figure = "... viewers with >= 2 s in hand who noticed, 8 users"
    fine, late = turn(arrivals=ahead), turn(arrivals=(*ahead[:-1], (6.4, 5.8)))
    at = Strike(ASKED_AT + 3.0, "avatar 7", 2, 3.0)
    assert verdicts(FaultRun("kill-avatar", (at,), (fine,)))[figure].is_ok
    assert verdicts(FaultRun("kill-avatar", (at,), (fine, late)))[figure].measured == 1


def test_a_full_disk_is_told_before_a_turn_and_costs_none_in_progress() -> None:
    full = Strike(ASKED_AT + 2.0, "disk", 2, 4.0, "507 disk_full")
    told = turn("error", code="disk_full")
    run = FaultRun("fill-disk", (full,), (turn(), turn("error", code="disk_full", end_s=0.1)))
    found = verdicts(run)
    assert found["fill-disk: turns in progress that did not end whole"].measured == 0
    assert found["... asked meanwhile and not told 507 disk_full"].is_ok
    assert found["... turns that ended otherwise"].is_ok
    lost = verdicts(FaultRun("fill-disk", (full,), (told,)))
    assert lost["fill-disk: turns in progress that did not end whole"].measured == 1
    cut = verdicts(FaultRun("fill-disk", (full,), (turn("cut", end_s=0.1),)))
    assert cut["... turns that ended otherwise"].is_ok is False


def test_a_stage_that_stays_away_is_no_recovery() -> None:
    run = FaultRun("kill-tts", (struck(1, back_s=None),), (turn(),))
    assert verdicts(run)["strikes after which it was not as before"].is_ok is False


def test_the_report_sums_over_the_faults(capsys: pytest.CaptureFixture[str]) -> None:
    runs = [
        FaultRun("kill-avatar", (struck(2),), (turn(arrivals=STEADY), turn("cut", code="reset"))),
        FaultRun("kill-ingress", (struck(1), struck(0)), (turn(), turn("refused"))),
        FaultRun("kill-node", skipped="no second node"),
    ]
    found = verdicts_of(runs, STAGE_FAULTS, GAP_LIMITS_S, 2, 8)
    shown = show_all(runs, tuple(GAP_LIMITS_S), found)
    printed = capsys.readouterr().out
    (total,) = [line for line in printed.splitlines() if line.startswith("all  ")]
    assert total.split() == ["all", "3", "2", "3", "3", "2", "0", "0", "0", "1", "0", "1"]
    assert "no second node" in printed
    assert json.loads(json.dumps(shown))["faults"][0]["viewers"] == [
        {"in_hand_s": 0.5, "gap_s": 0.0, "n_late": 0}
    ]


# What is struck.


def test_every_stage_has_its_fault_and_every_gap_its_limit() -> None:
    assert set(GAP_LIMITS_S) <= set(STAGE_FAULTS) <= set(FAULTS)
    assert all(name == fault.name for name, fault in FAULTS.items())


@pytest.mark.parametrize(
    ("status", "body", "heard"),
    [
        (507, b'{"code": "disk_full"}', "507 disk_full"),
        (200, b"\0\0\0\x1cftyp\xff", "200"),  # let in: the target is missed, not the run lost
        (503, b"Service Unavailable", "503"),
        (500, b"[]", "500"),
    ],
)
def test_whatever_a_full_disk_makes_the_server_say_is_noted(
    status: int, body: bytes, heard: str
) -> None:
    assert heard_of(httpx.Response(status, content=body)) == heard


def test_only_running_replicas_are_struck() -> None:
    def one(pid: int, state: str) -> dict[str, Any]:
        return {"pid": pid, "state": state, "actor_name": f"a{pid}", "node_id": "n"}

    said = {"tts": {"replicas": [one(5, "RUNNING"), one(6, "STARTING"), one(7, "STOPPING")]}}
    assert running_of("tts", said) == [Replica("tts", 5, "a5", "n")]
    assert running_of("asr", said) == []


def test_a_replicas_cluster_is_found_through_its_raylet(tmp_path: Path) -> None:
    def process(pid: int, parent: int, command: str) -> None:
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "stat").write_text(f"{pid} (a (b) c) S {parent} 0")
        (folder / "cmdline").write_bytes(command.encode())

    process(30, 20, "ray::ServeReplica:avatar:tts\0")
    process(20, 10, "/x/raylet\0--node_id=1\0--gcs-address=127.0.0.1:6379\0")
    process(10, 1, "python\0")
    process(40, 1, "bash\0")
    assert gcs_address_of(30, tmp_path) == "127.0.0.1:6379"
    for stranger in (40, 99):
        with pytest.raises(StrikerError):
            gcs_address_of(stranger, tmp_path)


@pytest.mark.parametrize("profile", ["embedded", "fake"])
def test_a_spread_profile_has_each_stage_on_both_nodes_and_the_rest_on_the_head(
    profile: str,
) -> None:
    before = yaml.safe_load((PROFILES / f"{profile}.yaml").read_text())
    (application,) = spread(before)["applications"]
    read_config(application["args"])
    for one in application["deployments"]:
        scaling = one["autoscaling_config"]
        if one["name"] in ("asr", "llm", "tts", "avatar"):
            assert (scaling["min_replicas"], scaling["max_replicas"]) == (2, 2)
            assert one["max_replicas_per_node"] == 1
        else:
            assert one["ray_actor_options"]["resources"] == {HEAD: 0.01}
            assert one["ray_actor_options"]["num_cpus"] > 0
    assert before == yaml.safe_load((PROFILES / f"{profile}.yaml").read_text())
