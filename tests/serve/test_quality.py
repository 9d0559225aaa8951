"""The judge of quality on the real server: a run, then again with a baseline that is better."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.serving import ROOT, Server


def judge(server: Server, out: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "benchmarks.quality", "--url", server.url, "--out", str(out)]
    command += ["--scenario", "en-zh", *more]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def files(embedded_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("quality") / "first"
    done = judge(embedded_server, out)
    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert last == json.loads(out.with_suffix(".json").read_text())
    return out


def read(files: Path) -> dict[str, Any]:
    run: dict[str, Any] = json.loads(files.with_suffix(".json").read_text())
    return run


def test_a_run_finds_the_embedded_profile_as_it_is_known_to_be(files: Path) -> None:
    run = read(files)
    english, switched = run["summary"]["en"], run["summary"]["switched"]
    assert [turn["asked"] for turn in run["turns"]] == ["aloud", "in writing"]
    assert english["reply_error_rate"] < 0.3
    assert english["reply_language_right"] == switched["reply_language_right"] == 1.0
    assert -80 <= english["av_offset_ms"] <= 40
    assert run["summary"]["all"]["n_failed"] == 0
    missing = {(one["metric"], language) for one in run["missing"] for language in one["languages"]}
    assert {("reply_error_rate", "zh"), ("speech_language_right", "en")} <= missing
    assert ("reply_error_rate", "en") not in missing


def test_the_report_plays_what_was_said(files: Path) -> None:
    page = files.with_suffix(".html").read_text()
    assert page.count("<video ") == 2
    n_voices = 2  # one for each language
    assert page.count("data:audio/wav;base64,") == 1 + n_voices


def test_a_regression_against_the_baseline_is_told_and_ends_in_status_1(
    files: Path, embedded_server: Server, tmp_path: Path
) -> None:
    run = read(files)
    run["summary"]["en"]["reply_error_rate"] -= 0.5
    baseline = tmp_path / "better.json"
    baseline.write_text(json.dumps(run))
    done = judge(embedded_server, tmp_path / "second", "--baseline", str(baseline))
    assert done.returncode == 1, done.stderr
    assert "REGRESSION" in done.stdout
    assert "reply misheard" in done.stdout


def test_a_baseline_of_other_questions_ends_in_status_2(
    files: Path, embedded_server: Server, tmp_path: Path
) -> None:
    run = read(files)
    run["settings"]["scenarios"] = ["en-long"]
    baseline = tmp_path / "other.json"
    baseline.write_text(json.dumps(run))
    done = judge(embedded_server, tmp_path / "third", "--baseline", str(baseline))
    assert done.returncode == 2
    assert "the baseline's scenarios" in done.stderr
