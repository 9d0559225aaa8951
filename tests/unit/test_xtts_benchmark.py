"""What the benchmark of XTTS makes of its measurements."""

from benchmarks.xtts import Run, time_verdict, work_verdict


def run(way: str, n_latents: int, whole_s: float, n_decoded: float) -> Run:
    return Run(way, n_latents, n_latents / 20, 0.1, whole_s, n_decoded)


LINEAR = [run("ours", 40, 1.0, 50), run("library", 40, 9, 90), run("ours", 160, 4.4, 190)]
SQUARE = [run("ours", 40, 1.0, 80), run("ours", 160, 16.0, 800)]


def test_what_grows_with_the_sentence_is_linear() -> None:
    assert work_verdict(LINEAR).measured == 0.95
    assert work_verdict(LINEAR).is_ok
    assert round(time_verdict(LINEAR).measured or 0, 6) == 1.1
    assert time_verdict(LINEAR).is_ok


def test_what_grows_faster_is_not() -> None:
    assert work_verdict(SQUARE).measured == 2.5
    assert not work_verdict(SQUARE).is_ok
    assert time_verdict(SQUARE).measured == 4.0
    assert not time_verdict(SQUARE).is_ok


def test_a_run_is_told_for_a_second_of_its_speech() -> None:
    assert run("ours", 40, 1.0, 50).row() == ["ours", "2.00", "0.100", "0.500", "1.25"]
    assert run("ours", 40, 1.0, 50).json() == {
        "way": "ours",
        "latents": 40,
        "speech_s": 2.0,
        "first_s": 0.1,
        "s_per_s": 0.5,
        "decoded_per_latent": 1.25,
    }
