"""Down when frames are late, up when there is time again."""

from graph.events import LadderStep
from graph.ladder import Ladder, LadderSettings

FPS = 25
SETTINGS = LadderSettings(
    half_below_s=0.06, full_above_s=0.6, start_s=1.0, still_after_s=2.0, stand_in_frames=10
)


def drawn(ladder: Ladder, first_frame: int, slack_s: float, *, was_awaited: bool = True) -> None:
    ladder.drawn(first_frame, 5, ladder.frame_step, slack_s, was_awaited)


def test_a_turn_that_keeps_time_is_never_reduced() -> None:
    ladder = Ladder(SETTINGS, FPS)
    for first_frame in range(0, 500, 5):
        drawn(ladder, first_frame, 0.2)
    assert (ladder.frame_step, ladder.steps) == (1, ())


def test_little_slack_halves_the_rate_until_there_is_plenty() -> None:
    ladder = Ladder(SETTINGS, FPS)
    drawn(ladder, 50, 0.05)
    assert ladder.frame_step == 2
    drawn(ladder, 55, 0.3)
    drawn(ladder, 60, 0.6)
    assert ladder.frame_step == 1
    assert ladder.steps == (LadderStep("half_rate", 2.2, 2.6),)


def test_at_the_start_little_slack_is_no_reason() -> None:
    ladder = Ladder(SETTINGS, FPS)
    drawn(ladder, 5, 0.01)
    assert ladder.frame_step == 1
    drawn(ladder, 10, -0.01)
    assert ladder.frame_step == 2


def test_what_was_there_in_time_is_not_blamed_for_a_slow_reader() -> None:
    ladder = Ladder(SETTINGS, FPS)
    drawn(ladder, 50, -3.0, was_awaited=False)
    assert ladder.frame_step == 1


def test_a_miss_shows_the_idle_face_and_each_further_one_for_longer() -> None:
    ladder = Ladder(SETTINGS, FPS)
    assert ladder.missed(100, 25) == ("idle_face", 10)
    assert ladder.missed(110, 50) == ("idle_face", 20)
    assert ladder.n_missed == 2
    assert ladder.frame_step == 2


def test_a_rest_too_short_to_be_ordered_again_is_replaced_as_well() -> None:
    assert Ladder(SETTINGS, FPS).missed(100, 19) == ("idle_face", 19)
    assert Ladder(SETTINGS, FPS).missed(100, 3) == ("idle_face", 3)


def test_after_two_seconds_of_the_idle_face_the_picture_stands_still() -> None:
    ladder = Ladder(SETTINGS, FPS)
    frame = 0
    while frame < 100:
        frame += ladder.missed(frame, 19)[1]  # stretches of 19 frames, none of them drawn
    assert ladder.steps == (
        LadderStep("idle_face", 0.0, 57 / FPS),
        LadderStep("voice_only", 57 / FPS, 114 / FPS),
    )


def test_a_drawn_packet_ends_a_run_of_misses() -> None:
    ladder = Ladder(SETTINGS, FPS)
    ladder.missed(100, 25)
    drawn(ladder, 110, 0.1)
    assert ladder.n_missed == 0
    assert ladder.missed(115, 25) == ("idle_face", 10)
    assert [step.level for step in ladder.steps] == ["idle_face", "half_rate", "idle_face"]
