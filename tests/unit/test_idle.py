"""The looping video of a silent face."""

import io

import av

from graph.idle import LOOP_S, idle_loop
from tests.web_fakes import FPS, FakeAvatar, Switches


async def test_the_loop_is_silent_whole_and_has_its_index_in_front() -> None:
    data = await idle_loop(FakeAvatar(Switches()), "grey")

    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(io.BytesIO(data), "r") as file:
        assert [stream.type for stream in file.streams] == ["video"]
        assert len(list(file.decode(video=0))) == round(LOOP_S * FPS)
