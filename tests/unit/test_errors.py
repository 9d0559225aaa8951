"""Errors cross between replicas by pickle, with their fields."""

import pickle

import pytest

from deployments import errors
from deployments.errors import AvatarError


def kinds() -> list[type[AvatarError]]:
    found = [AvatarError]
    for kind in found:
        found.extend(kind.__subclasses__())
    return [
        kind for kind in found if kind.__module__ == errors.__name__ and kind.__name__[0] != "_"
    ]


@pytest.mark.parametrize("kind", kinds())
def test_an_error_survives_pickling_with_all_its_fields(kind: type[AvatarError]) -> None:
    sent = kind("the engine is tired", stage="tts", turn_id="t1", retryable=True)
    got = pickle.loads(pickle.dumps(sent))
    assert type(got) is kind
    assert got.__dict__ == sent.__dict__
    assert str(got) == "the engine is tired"


@pytest.mark.parametrize("kind", kinds())
def test_an_error_needs_no_more_than_a_message(kind: type[AvatarError]) -> None:
    assert str(kind("words")) == "words"


def test_the_tree_drawn_in_the_docstring_is_the_tree_there_is() -> None:
    drawn = {
        line.split()[1 if line[0] in "├└" else 2].split("(")[0]
        for line in (raw.strip() for raw in (errors.__doc__ or "").splitlines())
        if "├──" in line or "└──" in line
    }
    assert drawn == {kind.__name__ for kind in kinds()} - {"AvatarError"}
