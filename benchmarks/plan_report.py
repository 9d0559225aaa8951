"""The planner's answer in words and tables, with all that it assumes."""

from collections.abc import Sequence
from typing import Any

from benchmarks.plan_calls import CALL, Lengths, Talk
from benchmarks.plan_outcome import REFUSED_SHARE, Load, Need, Outcome
from benchmarks.plan_world import Setup

_GREATEST = 1e9


def answer(found: int | None, outcomes: Sequence[Outcome], who: str, need: Need) -> str:
    """What was asked, and the answer to it."""
    asked = (
        f"{who} at a p95 of TTFF of at most {need.ttff_p95_s:g} s and {need.ladder_share:.0%} of "
        f"the video on the ladder"
    )
    if found is None:
        last = outcomes[-1]
        is_scaling = last.cards_rented_most < last.n_cards
        why = ", and more are never rented: the profile's scaling decides when cards come"
        return (
            f"no number of cards is enough for {asked}: with {last.cards_rented_most} it is "
            f"{last.ttff_s.p95:.2f} s, {last.ladder_share:.1%} on the ladder, "
            f"{last.refused_share:.1%} refused{why if is_scaling else ''}"
        )
    (outcome,) = (o for o in outcomes if o.n_cards == found)
    cents = 100 * outcome.price_per_talking_minute
    call_cents = 100 * outcome.price_per_call_minute
    is_enough = "" if outcome.is_enough else " (not enough)"
    return (
        f"{found} L4s for {asked}{is_enough}: {outcome.ttff_s.p95:.2f} s and "
        f"{outcome.ladder_share:.1%}; {cents:.2f} US cents a talking minute (of the face; "
        f"{call_cents:.2f} a minute of call)"
    )


def kept_all_day(outcome: Outcome, load: Load, need: Need) -> str:
    """What it costs where no card can be given back."""
    price = outcome.n_cards * load.hours * need.price_per_hour
    cents = 100 * price / outcome.talking_minutes if outcome.talking_minutes else _GREATEST
    return (
        f"at most {outcome.cards_rented_most} cards at a time, {outcome.cards_rented_mean:.1f} on "
        f"average: {outcome.price:.0f} dollars; all {outcome.n_cards} kept: {price:.0f} dollars, "
        f"{cents:.2f} US cents a talking minute"
    )


def assumptions(setup: Setup, need: Need, who: str) -> dict[str, str]:
    """Everything that the answer rests on."""
    layout, rent = setup.layout, setup.rent
    per_card = ", ".join(f"{n} {s.per_card:g}" for n, s in layout.stages.items())
    found = {
        "who": who,
        "a turn": _talk(setup.talk),
        "machines": f"cost model {layout.model_name} ({layout.model.gpu}): {layout.model.source}",
        "work": f"{layout.work_s_per_speech_s:.2f} s of a card's time for a second of video",
        "on a card": f"profile {layout.profile}: {per_card} replicas",
        "the graph itself": f"{setup.overhead_s:g} s of TTFF; processors are no limit",
        "price": f"{need.price_per_hour:g} US dollars an hour and card",
        "limits": f"p95 of TTFF {need.ttff_p95_s:g} s, {need.ladder_share:.0%} of the video on the "
        f"ladder, refused {REFUSED_SHARE:.0%} of the turns",
        "left out": "failures, the network, silence while words are not there yet",
        "seed": str(setup.seed),
    }
    if rent is not None:
        found["scaling"] = (
            f"the profile's delays; a card is there {rent.start_s:g} s after it is wanted and "
            f"given back {rent.idle_s:g} s after it is empty; models load as the cost model says"
        )
    return found


def who_calls(n_callers: int | None, n_calls: int | None, file: str | None) -> str:
    """In words."""
    if file is not None:
        return f"the calls of {file}"
    if n_calls is not None:
        return f"a day of {n_calls:,} calls of {CALL.mean_s:g} s on average"
    return f"{n_callers:,} callers who talk at the same time"


def _talk(talk: Talk) -> str:
    question = "typed" if talk.question is None else f"question {_lengths(talk.question)}"
    return (
        f"pause {_lengths(talk.pause)}, {question}, answer {_lengths(talk.answer)} in sentences of "
        f"about {talk.sentence_s:g} s; log-normal"
    )


def _lengths(lengths: Lengths) -> str:
    return f"{lengths.mean_s:g} s (deviation {lengths.deviation_s:.2g})"


def json_of(
    found: int | None, outcomes: Sequence[Outcome], assumed: dict[str, str], setup: Setup
) -> dict[str, Any]:
    """What machines read."""
    return {
        "cards": found,
        "assumptions": assumed,
        "layout": setup.layout.json(),
        "talk": setup.talk.json(),
        "tried": [outcome.json() for outcome in outcomes],
    }
