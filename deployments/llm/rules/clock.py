"""The time and the date, as they are said."""

from datetime import datetime

from deployments.llm.rules.phrases import Clock


def time_of(now: datetime, locale: str, clock: Clock) -> str:
    """The time of ``now``, in a sentence."""
    from babel.dates import format_time

    pattern = clock.time if now.minute else clock.whole_hour
    # CLDR separates "PM" by a narrow space, which synthesisers do not know.
    told = format_time(now, pattern, locale=locale).replace("\u202f", " ")
    says = clock.says_one_o_clock if now.hour % 12 == 1 else clock.says_time
    return says.format(told)


def date_of(now: datetime, locale: str, clock: Clock) -> str:
    """The date of ``now`` with its weekday, in a sentence."""
    from babel.dates import format_date

    return clock.says_date.format(format_date(now, "full", locale=locale))
