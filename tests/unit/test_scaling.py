"""How many replicas the turns need, also those that nobody has let in yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from ray.serve._private.common import DeploymentID, ReplicaID, TimeStampedValue
from ray.serve.config import AutoscalingConfig

from graph.admission import AdmissionSettings, SpeechAdmission
from graph.scaling import ADMISSION, TURNS, ByTurns

POLICY = ByTurns({"asr": 4, "tts": 1.25, "avatar": 0.62})


@dataclass
class Seen:
    """What Serve would tell of a deployment."""

    total_num_requests: float = 0.0
    config: AutoscalingConfig = field(
        default_factory=lambda: AutoscalingConfig(target_ongoing_requests=16)
    )
    raw_metrics: Mapping[str, Mapping[ReplicaID, list[TimeStampedValue]]] | None = None


def id_of(name: str) -> DeploymentID:
    return DeploymentID(name=name, app_name="avatar")


def told(*turns: float) -> Seen:
    points = [TimeStampedValue(float(i), n) for i, n in enumerate(turns)]
    return Seen(raw_metrics={TURNS: {ReplicaID("one", id_of(ADMISSION)): points}})


def wanted(seen: Mapping[str, Seen]) -> dict[str, float]:
    decisions, remembered = POLICY({id_of(name): one for name, one in seen.items()})
    assert remembered == {}
    return {deployment.name: n for deployment, n in decisions.items()}


def test_stages_get_what_the_newest_number_of_turns_needs() -> None:
    found = wanted({ADMISSION: told(1.0, 6.0), "asr": Seen(), "tts": Seen(), "avatar": Seen()})
    assert found == {ADMISSION: 0.0, "asr": 1.5, "tts": 4.8, "avatar": pytest.approx(9.677419)}


def test_requests_count_where_they_ask_for_more() -> None:
    found = wanted({ADMISSION: told(1.0), "avatar": Seen(total_num_requests=64.0)})
    assert found["avatar"] == 4.0


def test_a_stage_that_is_not_named_is_scaled_by_its_requests() -> None:
    assert wanted({ADMISSION: told(9.0), "llm": Seen(total_num_requests=8.0)})["llm"] == 0.5


@pytest.mark.parametrize("admission", [Seen(), Seen(raw_metrics={}), told()])
def test_while_admission_tells_nothing_requests_decide(admission: Seen) -> None:
    found = wanted({ADMISSION: admission, "avatar": Seen(total_num_requests=16.0)})
    assert found["avatar"] == 1.0


def test_a_number_that_is_whole_but_for_rounding_brings_no_replica_more() -> None:
    policy = ByTurns({"avatar": 0.1})
    seen = {id_of(ADMISSION): told(0.3), id_of("avatar"): Seen()}
    assert policy(seen)[0][id_of("avatar")] == 3.0


def test_serve_can_be_told_the_policy_by_name() -> None:
    from ray.serve.config import AutoscalingPolicy

    policy = AutoscalingPolicy(
        policy_function="graph.scaling:ByTurns", policy_kwargs={"turns_per_replica": {"tts": 2}}
    )
    assert policy.get_policy() is ByTurns


def test_turns_that_run_wait_or_will_be_back_are_wanted() -> None:
    settings = AdmissionSettings(n_unmeasured=2, max_queue=1, settle_s=0.0, start_window_s=0.001)
    admission = SpeechAdmission(settings)
    for i in range(4):
        admission.ask(f"turn {i}", "ingress", now_s=float(i))
    assert (admission.n_running, admission.n_waiting) == (2, 1)
    assert admission.n_wanted == 4.0
