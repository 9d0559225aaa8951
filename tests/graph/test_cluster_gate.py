"""A process's gate in virtual time: the deployment answers, hangs, dies and comes back."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from deployments.errors import EngineRuntimeError, TurnRefusedError
from deployments.types import Effort
from graph.admission import AdmissionSettings
from graph.cluster_gate import ClusterGate, GateNews, GateReport, Refused
from graph.door import Door
from graph.events import Progress, QueueUpdated
from tests.virtual_time import now, run

SETTINGS = AdmissionSettings(settle_s=0.0, expected_reply_s=10.0, start_speech_s=0.001)
SENT = Progress(spoken_s=10.0, sent_s=10.0, ahead_s=9.0, is_all_spoken=True)


@dataclass
class FakeAdmission:
    """The deployment with a real door behind it, which can be made to hang or to be gone."""

    mode: str = "well"
    n_ingresses: int = 1
    answer_s: float = 0.0  # how long a report takes
    reports: list[GateReport] = field(default_factory=list)
    n_asked: int = 0

    def __post_init__(self) -> None:
        self.door = Door(SETTINGS, 20.0, now)
        self._stricken = asyncio.Event()
        self.is_told = asyncio.Event()

    def strike(self, mode: str) -> None:
        self.mode = mode
        self._stricken.set()
        self._stricken = asyncio.Event()

    def come_back_empty(self) -> None:
        self.mode = "well"
        self.door = Door(SETTINGS, 20.0, now)

    async def _fail(self) -> None:
        if self.mode == "hangs":
            await asyncio.Event().wait()
        if self.mode == "dead":
            raise EngineRuntimeError("a replica was lost", stage="admission", retryable=True)
        if self.mode == "raises":
            raise RuntimeError("nobody has thought of this")

    async def enter(
        self, turn_id: str, ingress_id: str, waited_s: float
    ) -> AsyncGenerator[QueueUpdated | Refused, None]:
        self.n_asked += 1
        await self._fail()
        try:
            async with aclosing(self._places(turn_id, ingress_id, waited_s)) as places:
                async for place in places:
                    yield place
        except TurnRefusedError as error:
            yield Refused(error.message, error.predicted_wait_s)

    async def _places(
        self, turn_id: str, ingress_id: str, waited_s: float
    ) -> AsyncGenerator[QueueUpdated, None]:
        async with aclosing(self.door.enter(turn_id, ingress_id, waited_s)) as places:
            while True:
                taking = asyncio.ensure_future(anext(places, None))
                struck = asyncio.ensure_future(self._stricken.wait())
                try:
                    await asyncio.wait({taking, struck}, return_when=asyncio.FIRST_COMPLETED)
                    await self._fail()
                    if (place := await taking) is None:
                        return
                finally:
                    for task in (taking, struck):
                        task.cancel()
                    await asyncio.gather(taking, struck, return_exceptions=True)
                yield place

    async def report(self, report: GateReport) -> GateNews:
        await self._fail()
        self.reports.append(report)
        self.is_told.set()
        await asyncio.sleep(self.answer_s)
        for stage, effort in report.efforts:
            self.door.admission.note(stage, effort, now())
        self.door.report(report.ingress_id, report.turns, report.left)
        return GateNews({"avatar": 1}, self.n_ingresses, self.door.admission.capacity(now()))


def gate_at(stage: FakeAdmission, ingress_id: str = "i1") -> ClusterGate:
    return ClusterGate(
        stage, SETTINGS, ingress_id=ingress_id, look_ahead_s=20.0, now=now, cpu_s=lambda: 0.0
    )


@asynccontextmanager
async def running(*gates: ClusterGate) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(gate.run()) for gate in gates]
    try:
        await asyncio.sleep(0.01)
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def machine_of(capacity: float, gate: ClusterGate) -> None:
    gate.note("avatar", Effort("r1", 100.0 / capacity, 100.0))


@dataclass
class Entered:
    """What somebody was told, and when they were let in."""

    places: list[QueueUpdated]
    took_s: float


async def enter(gate: ClusterGate, turn_id: str) -> Entered:
    began_s = now()
    async with aclosing(gate.enter(turn_id)) as places:
        told = [place async for place in places]
    return Entered(told, now() - began_s)


async def start(gate: ClusterGate, *turn_ids: str) -> None:
    for turn_id in turn_ids:
        assert (await enter(gate, turn_id)).took_s < 0.5


def test_a_turn_gets_in_at_once_and_is_reported_until_it_leaves() -> None:
    async def scene() -> None:
        stage = FakeAdmission()
        gate = gate_at(stage)
        async with running(gate):
            assert await enter(gate, "a") == Entered([], 0.0)
            await asyncio.sleep(0.1)
            gate.progressed("a", Progress(2.0, 1.0, 1.0, False))
            await asyncio.sleep(0.3)
            told = stage.reports[-1].turns["a"]
            assert told is not None
            assert told.ahead_s < 1.0  # of now, not of when it was sent
            gate.leave("a")
            await asyncio.sleep(0.1)
            assert (stage.reports[-1].turns, stage.reports[-1].left) == (
                {},
                {"a": Progress(2.0, 1.0, 1.0, False)},
            )
            assert stage.door.admission.n_running == 0

    run(scene())


def test_what_the_machine_makes_is_known_from_the_first_efforts_on_and_stays_known() -> None:
    async def scene() -> None:
        stage = FakeAdmission()
        gate = gate_at(stage)
        async with running(gate):
            assert gate.capacity is None
            machine_of(0.5, gate)
            await asyncio.sleep(SETTINGS.idle_report_every_s + 0.1)
            assert gate.capacity == pytest.approx(0.5)
            stage.mode = "dead"
            await asyncio.sleep(SETTINGS.idle_report_every_s + 0.1)
            assert gate.capacity == pytest.approx(0.5)

    run(scene())


def test_what_happens_while_a_report_is_under_way_is_told_right_after_it() -> None:
    async def scene() -> None:
        stage = FakeAdmission(answer_s=0.1)
        gate = gate_at(stage)
        async with running(gate):
            await start(gate, "a")
            stage.is_told.clear()
            await stage.is_told.wait()
            gate.leave("a")
            n_before = len(stage.reports)
            await asyncio.sleep(stage.answer_s + 0.05)
            assert [set(report.left) for report in stage.reports[n_before:]] == [{"a"}]

    run(scene())


def test_who_waits_is_told_the_place_and_gets_in_when_one_ends() -> None:
    async def scene() -> None:
        gate = gate_at(FakeAdmission())
        machine_of(2.4, gate)
        async with running(gate):
            await start(gate, "a", "b")
            third, fourth = (asyncio.create_task(enter(gate, name)) for name in "cd")
            await asyncio.sleep(2.0)
            gate.leave("a")
            got = await third
            assert [place.position for place in got.places][:1] == [1]
            assert got.took_s == pytest.approx(2.0, abs=0.1)
            assert not fourth.done()
            gate.leave("b")
            assert [place.position for place in (await fourth).places][-1] == 1

    run(scene())


def test_places_are_told_at_most_twice_a_second() -> None:
    async def scene() -> None:
        gate = gate_at(FakeAdmission())
        machine_of(1.2, gate)
        async with running(gate):
            await start(gate, "a")
            waiting = asyncio.create_task(enter(gate, "b"))
            for i in range(25):
                gate.progressed("a", Progress(9.0, 0.2 * i, 0.0, True))
                await asyncio.sleep(0.2)
            gate.leave("a")
            told = (await waiting).places
            assert 3 <= len(told) <= 10
            assert told[-1].predicted_wait_s < told[0].predicted_wait_s - 2.0

    run(scene())


def test_a_place_in_the_queue_is_free_again_when_its_holder_goes() -> None:
    async def scene() -> None:
        stage = FakeAdmission()
        gate = gate_at(stage)
        machine_of(1.2, gate)
        async with running(gate):
            await start(gate, "a")
            gone, stays = (asyncio.create_task(enter(gate, name)) for name in "bc")
            await asyncio.sleep(1.0)
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            gate.leave("a")
            await asyncio.sleep(0.2)
            assert stays.done()
            assert stage.door.admission.n_waiting == 0

    run(scene())


def test_a_refusal_says_how_long_until_there_is_room() -> None:
    async def scene() -> None:
        gate = gate_at(FakeAdmission())
        machine_of(1.2, gate)
        async with running(gate):
            await start(gate, "a")
            waiting = asyncio.create_task(enter(gate, "b"))
            await asyncio.sleep(0.01)
            with pytest.raises(TurnRefusedError) as refused:
                await enter(gate, "c")
            assert refused.value.predicted_wait_s == pytest.approx(20.0, abs=4.0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    run(scene())


@pytest.mark.parametrize("mode", ["hangs", "dead", "raises"])
def test_a_gate_whose_deployment_is_gone_decides_alone_and_at_once_from_then_on(mode: str) -> None:
    async def scene() -> None:
        stage = FakeAdmission()
        gate = gate_at(stage)
        machine_of(2.4, gate)
        async with running(gate):
            await start(gate, "a")
            stage.strike(mode)
            assert (await enter(gate, "b")).took_s <= SETTINGS.answer_timeout_s + 0.01
            third = asyncio.create_task(enter(gate, "c"))
            await asyncio.sleep(1.0)
            assert not third.done()  # the limit holds all the same
            gate.leave("a")
            assert (await third).took_s == pytest.approx(1.0, abs=0.15)
            n_asked = stage.n_asked
            gate.leave("b")
            assert (await enter(gate, "d")).took_s < 0.1
            assert stage.n_asked == n_asked

    run(scene())


def test_a_deployment_that_comes_back_is_asked_again_and_knows_all_turns() -> None:
    async def scene() -> None:
        stage = FakeAdmission()
        gate = gate_at(stage)
        machine_of(2.4, gate)
        async with running(gate):
            await start(gate, "a")
            stage.strike("dead")
            await start(gate, "b")
            stage.come_back_empty()
            await asyncio.sleep(0.6)
            assert stage.door.admission.n_running == 2
            assert stage.door.admission.capacity(now()) == pytest.approx(2.4)
            n_asked = stage.n_asked
            gate.leave("a")
            await start(gate, "c")
            assert stage.n_asked == n_asked + 1

    run(scene())


def test_who_waited_alone_is_asked_for_again_with_the_time_behind_them() -> None:
    async def scene() -> None:
        stage = FakeAdmission()
        gate = gate_at(stage)
        machine_of(1.2, gate)
        async with running(gate):
            await start(gate, "a")
            stage.strike("dead")
            began_s = now()
            waiting = asyncio.create_task(enter(gate, "b"))
            await asyncio.sleep(5.0)
            stage.strike("well")
            await asyncio.sleep(1.0)
            assert stage.door.admission.n_waiting == 1
            with pytest.raises(TurnRefusedError):
                await waiting
            assert now() - began_s == pytest.approx(SETTINGS.max_wait_s, abs=0.2)

    run(scene())


def test_an_error_that_nobody_foresaw_is_logged_once_and_ends_no_reports(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene() -> None:
        stage = FakeAdmission()
        gate = gate_at(stage)
        async with running(gate):
            await start(gate, "a")
            stage.strike("raises")
            await asyncio.sleep(3.0)
            stage.come_back_empty()
            await asyncio.sleep(0.6)
            assert stage.door.admission.n_running == 1

    run(scene())
    assert [record.getMessage() for record in caplog.records] == [
        "admission does not answer, deciding alone: RuntimeError",
        "admission answers again",
    ]


@pytest.mark.parametrize("mode", ["hangs", "dead"])
def test_who_waits_while_the_deployment_dies_goes_on_waiting_for_as_long_as_before(
    mode: str,
) -> None:
    async def scene() -> None:
        stage = FakeAdmission()
        gate = gate_at(stage)
        machine_of(1.2, gate)
        async with running(gate):
            await start(gate, "a")
            waiting = asyncio.create_task(enter(gate, "b"))
            await asyncio.sleep(5.0)
            stage.strike(mode)
            await asyncio.sleep(9.0)
            assert not waiting.done()
            await asyncio.sleep(1.5)
            with pytest.raises(TurnRefusedError):
                await waiting

    run(scene())


@pytest.mark.parametrize("mode", ["hangs", "dead"])
def test_who_waits_while_the_deployment_dies_gets_in_when_there_is_room(mode: str) -> None:
    async def scene() -> None:
        stage = FakeAdmission()
        gate = gate_at(stage)
        machine_of(1.2, gate)
        async with running(gate):
            await start(gate, "a")
            waiting = asyncio.create_task(enter(gate, "b"))
            await asyncio.sleep(5.0)
            stage.strike(mode)
            gate.leave("a")
            assert (await waiting).took_s < 5.0 + SETTINGS.lease_s

    run(scene())


def test_a_process_is_heard_of_as_soon_as_somebody_waits_in_it() -> None:
    async def scene() -> None:
        stage = FakeAdmission()
        first, second = gate_at(stage, "i1"), gate_at(stage, "i2")
        machine_of(1.2, first)
        async with running(first, second):
            await start(first, "a")
            await asyncio.sleep(1.0)
            stage.reports.clear()
            waiting = asyncio.create_task(enter(second, "b"))
            await asyncio.sleep(0.05)
            assert "i2" in [report.ingress_id for report in stage.reports]
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    run(scene())


def test_who_waits_in_a_process_that_cannot_be_heard_is_decided_about_there() -> None:
    async def scene() -> None:
        stage = FakeAdmission()
        heard, unheard = gate_at(stage, "i1"), gate_at(stage, "i2")  # nobody runs the second
        machine_of(1.2, heard)
        async with running(heard):
            await start(heard, "a")
            got = await enter(unheard, "b")
            assert got.took_s == pytest.approx(SETTINGS.lease_s, abs=0.2)

    run(scene())


def test_two_processes_share_one_limit_and_alone_each_has_half() -> None:
    async def scene() -> None:
        stage = FakeAdmission(n_ingresses=2)
        first, second = gate_at(stage, "i1"), gate_at(stage, "i2")
        for gate in (first, second):
            machine_of(2.4, gate)
        async with running(first, second):
            await start(first, "a")
            await start(second, "b")
            waiting = asyncio.create_task(enter(first, "c"))
            await asyncio.sleep(1.0)
            assert not waiting.done()
            second.leave("b")
            await waiting
            first.leave("c")
            stage.strike("dead")
            await start(second, "d")
            alone = asyncio.create_task(enter(second, "e"))
            await asyncio.sleep(1.0)
            assert not alone.done()
            second.leave("d")
            await alone

    run(scene())


def test_turns_of_a_process_that_died_are_dropped_after_their_lease() -> None:
    async def scene() -> None:
        stage = FakeAdmission(n_ingresses=2)
        first, second = gate_at(stage, "i1"), gate_at(stage, "i2")
        machine_of(1.2, second)
        async with running(second):
            async with running(first):
                await start(first, "a")
            got = await enter(second, "b")
            assert got.took_s == pytest.approx(SETTINGS.lease_s, abs=0.3)

    run(scene())


def test_what_was_all_sent_makes_room_although_it_is_still_watched() -> None:
    async def scene() -> None:
        gate = gate_at(FakeAdmission())
        machine_of(1.2, gate)
        async with running(gate):
            await start(gate, "a")
            waiting = asyncio.create_task(enter(gate, "b"))
            await asyncio.sleep(1.0)
            gate.progressed("a", SENT)
            assert (await waiting).took_s == pytest.approx(1.0, abs=0.4)

    run(scene())


HELD = Progress(spoken_s=6.0, sent_s=3.0, ahead_s=0.3, is_all_spoken=False, is_held=True)


def test_a_viewer_who_stops_reading_keeps_nobody_else_out() -> None:
    async def scene() -> None:
        stage = FakeAdmission()
        gate = gate_at(stage)
        machine_of(2.4, gate)
        async with running(gate):
            await start(gate, "held")
            gate.progressed("held", HELD)
            await asyncio.sleep(20.0)
            assert stage.reports[-1].turns["held"] == HELD
            await start(gate, "a")
            stage.strike("dead")
            gate.leave("a")
            await start(gate, "b")  # and alone it knows the same

    run(scene())


def test_a_held_turn_still_has_its_share_of_the_machine() -> None:
    async def scene() -> None:
        gate = gate_at(FakeAdmission())
        machine_of(2.4, gate)
        async with running(gate):
            await start(gate, "held")
            gate.progressed("held", HELD)
            await asyncio.sleep(1.0)
            await start(gate, "a")
            third = asyncio.create_task(enter(gate, "b"))
            await asyncio.sleep(1.0)
            assert not third.done()
            gate.leave("held")
            assert (await third).took_s == pytest.approx(1.0, abs=0.15)

    run(scene())


def test_a_turn_that_is_late_for_a_reason_of_its_own_keeps_nobody_else_out() -> None:
    async def scene() -> None:
        gate = gate_at(FakeAdmission())
        machine_of(4.0, gate)
        async with running(gate):
            await start(gate, "late")
            gate.progressed("late", Progress(6.0, 3.0, -0.5, False))
            await asyncio.sleep(5.0)
            await start(gate, "a")

    run(scene())


def test_those_who_left_while_nobody_answers_are_remembered_up_to_a_number() -> None:
    async def scene() -> None:
        stage = FakeAdmission(mode="dead")
        gate = gate_at(stage)
        async with running(gate):
            await asyncio.sleep(0.1)
            for i in range(1000):
                turn_id = f"t{i}"
                await start(gate, turn_id)
                gate.leave(turn_id)
                await asyncio.sleep(0.05)
            stage.come_back_empty()
            await asyncio.sleep(0.6)
            told = {turn_id for report in stage.reports for turn_id in report.left}
            assert "t999" in told
            assert len(told) < 300

    run(scene())
