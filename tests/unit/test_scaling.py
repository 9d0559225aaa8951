"""How many replicas the turns need, also those that nobody has let in yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from graph.admission import AdmissionSettings, SpeechAdmission
from graph.scaling import ADMISSION, TURNS, ByTurns

POLICY = ByTurns({"asr": 4, "tts": 1.25, "avatar": 0.62})


@dataclass(frozen=True)
class DeploymentID:
    """As Serve's."""

    name: str


@dataclass(frozen=True)
class Point:
    """As Serve's time series have them."""

    timestamp: float
    value: float


@dataclass(frozen=True)
class Scaling:
    """Of a deployment's autoscaling configuration what is asked."""

    def get_target_ongoing_requests(self) -> float:
        return 16.0


@dataclass(frozen=True)
class Seen:
    """What Serve would tell of a deployment."""

    total_num_requests: float = 0.0
    config: Scaling = field(default_factory=Scaling)
    raw_metrics: Mapping[str, Mapping[str, list[Point]]] | None = None


def told(*turns: float) -> Seen:
    points = [Point(float(i), n) for i, n in enumerate(turns)]
    return Seen(raw_metrics={TURNS: {"a replica": points}})


def wanted(seen: Mapping[str, Seen]) -> dict[str, float]:
    decisions, remembered = POLICY({DeploymentID(name): one for name, one in seen.items()})
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
    seen = {DeploymentID(ADMISSION): told(0.3), DeploymentID("avatar"): Seen()}
    assert policy(seen)[0][DeploymentID("avatar")] == 3.0


def test_turns_that_run_wait_or_will_be_back_are_wanted() -> None:
    settings = AdmissionSettings(n_unmeasured=2, max_queue=1, max_wait_s=60.0, settle_s=0.0)
    admission = SpeechAdmission(settings)
    for i in range(4):
        admission.ask(f"turn {i}", "ingress", now_s=i / 2)
    assert (admission.n_running, admission.n_waiting) == (2, 1)
    assert admission.n_wanted == 4.0
