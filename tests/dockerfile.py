"""What a Dockerfile says, read without Docker: stages and their instructions in order."""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Instruction:
    """``word`` in capitals, its ``--flags`` apart from the rest."""

    word: str
    flags: tuple[str, ...]
    rest: str

    def flag(self, name: str) -> str | None:
        """The value of ``--name=value``; None where it is not given."""
        start = f"--{name}="
        return next((f.removeprefix(start) for f in self.flags if f.startswith(start)), None)


@dataclass(frozen=True, slots=True)
class Stage:
    """One FROM and what follows it."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, word: str) -> list[Instruction]:
        return [instruction for instruction in self.instructions if instruction.word == word]


def read_dockerfile(path: Path) -> list[Stage]:
    """The stages in the file's order; what precedes the first (ARG) is left out."""
    stages: list[Stage] = []
    for instruction in _instructions(path.read_text()):
        if instruction.word == "FROM":
            base, _, name = instruction.rest.partition(" AS ")
            stages.append(Stage(base, name))
        elif stages:
            stages[-1].instructions.append(instruction)
    return stages


def sources(copy: Instruction) -> list[str]:
    """The paths that a COPY takes from."""
    return shlex.split(copy.rest)[:-1]


def _instructions(text: str) -> list[Instruction]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [_instruction(line) for line in joined.splitlines() if line.strip()]


def _instruction(line: str) -> Instruction:
    word, _, rest = line.partition(" ")
    flags = re.match(r"(?:--\S+\s+)*", rest.lstrip())
    given = flags.group() if flags else ""
    return Instruction(word, tuple(given.split()), rest.lstrip()[len(given) :].strip())
