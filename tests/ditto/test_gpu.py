"""What is asked of a GPU, where there is none."""

from typing import Any

import pytest

from tests.ditto.fake_cuda import CARD_GB, put_in_place

torch = pytest.importorskip("torch", reason="a GPU is torch's here; make test installs it")


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_a_promise_of_memory_becomes_a_share_of_the_card(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deployments.avatar.ditto.gpu import device_of

    asked = put_in_place(monkeypatch)
    assert device_of(name, CARD_GB / 4) == torch.device("cuda", 0)
    assert device_of(name, 2 * CARD_GB) == torch.device("cuda", 0)
    assert asked.shares == [(0.25, 0), (1.0, 0)]


def test_plans_get_their_share_of_the_card_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from deployments.avatar.ditto.tensorrt.card import CudaCard

    asked = put_in_place(monkeypatch)
    assert CudaCard("cuda", CARD_GB / 2).device.index == 0
    assert asked.shares == [(0.5, 0)]


class FakePainter:
    """Paints black; more than ``room`` faces do not fit."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.painted: list[int] = []

    def __call__(self, volumes: Any, motion: Any) -> Any:
        if len(volumes) > self.room:
            raise torch.OutOfMemoryError
        self.painted.append(len(volumes))
        return torch.zeros(len(volumes), 4, 4, 3, dtype=torch.uint8)


def recorded(painter: FakePainter, most: int) -> list[int]:
    """Sizes in the order in which they were recorded."""
    from deployments.avatar.ditto.networks.recorded import RecordedPainting

    like: Any = torch.zeros(2, 1, 4, 4), torch.zeros(2, 21, 3)
    made: Any = RecordedPainting
    made(painter, *like, most)
    return list(dict.fromkeys(painter.painted))


@pytest.mark.parametrize(("most", "sizes"), [(8, [8, 4, 2, 1]), (6, [4, 2, 1]), (1, [1])])
def test_only_batches_that_are_painted_are_recorded_the_largest_first(
    most: int, sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = put_in_place(monkeypatch)
    assert recorded(FakePainter(room=64), most) == sizes
    assert len(asked.recorded) == len(sizes)


def test_all_sizes_are_recorded_on_one_stream_in_one_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = put_in_place(monkeypatch)
    recorded(FakePainter(room=64), 8)
    assert len(set(asked.recorded)) == 1


def test_a_size_that_does_not_fit_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    put_in_place(monkeypatch)
    assert recorded(FakePainter(room=3), 8) == [2, 1]
    with pytest.raises(torch.OutOfMemoryError):
        recorded(FakePainter(room=0), 8)


def test_memory_for_other_work_is_held_while_something_else_takes_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from deployments.avatar.ditto.gpu import kept_free

    asked = put_in_place(monkeypatch)
    held: list[tuple[int, Any]] = []
    monkeypatch.setattr(torch, "empty", lambda n, dtype, device: held.append((n, device)))
    asked.reserved = 100

    def work() -> None:
        assert not held
        asked.peak = 130

    with kept_free("the card", work):
        assert held == [(30, "the card")]
