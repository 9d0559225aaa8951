"""The spoken questions of a load test, made into a folder of WAV files.

Run: ``python -m benchmarks.load_speech FOLDER``. Beside the files, ``questions.json`` tells what
each says and what only its answer holds.
"""

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.speech import TEN_SECOND_QUESTION, Speaker, wav

INDEX = "questions.json"

SPOKEN = (
    ("Can you tell me what day it is today, and what the date is?", r"\bToday is\b"),
    ("Good morning, can you tell me who you are and what your name is?", r"\bI'm Avatar\b"),
    (TEN_SECOND_QUESTION, r"\bA few things\b"),
    ("Could you tell me a good joke, please? I would like to laugh today.",
     r"\b(?:too many windows|asked a robot|S car)\b"),
    ("Excuse me, could you please tell me what time it is now?", r"\bIt is \d+"),
    ("I would like to know something interesting, tell me a fact please.",
     r"\b(?:day on Venus|octopus|[Hh]oney hardly)\b"),
)  # fmt: skip
"""Questions that Moonshine hears well in espeak's voice, and what only their answers hold."""

PREAMBLES = ("", "I have a question. ", "I hope that you can hear me well. I have a question. ")
"""Said before, to make a question longer; no rule answers them."""


def main() -> int:
    """The command."""
    folder, speaker = Path(sys.argv[1]), Speaker()
    subjects = []
    for i, (text, tell) in enumerate(SPOKEN):
        files = [folder / f"{i}-{k}.wav" for k in range(len(PREAMBLES))]
        said = [
            _say(speaker, file, preamble + text, tell)
            for file, preamble in zip(files, PREAMBLES, strict=True)
        ]
        subjects.append({"tell": tell, "said": said})
    (folder / INDEX).write_text(json.dumps(subjects))
    return 0


def _say(speaker: Speaker, file: Path, text: str, tell: str) -> dict[str, Any]:
    audio = speaker.say(text)
    file.write_bytes(wav(audio.samples, audio.sample_rate_hz))
    return {"file": file.name, "text": text, "tell": tell, "lasts_s": audio.duration_s}


if __name__ == "__main__":
    sys.exit(main())
