"""What is asked of a GPU, where there is none."""

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
