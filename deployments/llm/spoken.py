"""Takes out of a model's text what cannot be spoken: Markdown and emoji, which models write now and
then whatever they are told.

A stream in, a stream out: the end of a piece is held back only where what follows decides over it.
"""

import re

_THOUGHTS = "<think>"  # what local models think aloud first, where their server leaves it in
_LONGEST_HELD = 400  # characters; what is undecided for longer is text

# Pictographs, flags, skin tones, joiners, variation selectors, keycaps; and the arrows, technical
# and geometric signs around them. Source: the blocks of Unicode 17 in which emoji-data.txt has
# characters that are shown as pictures.
_PICTURE = (
    "\U0001f000-\U0001fbff\U000e0020-\U000e007f\u200d\ufe0e\ufe0f\u20e3\u2190-\u21ff\u2300-\u23ff"
    "\u2460-\u24ff\u2500-\u27bf\u2934\u2935\u2b00-\u2bff\u3030\u303d\u3297\u3299"
)

# A word, or whatever else a text can begin with; only `label` and `text` are spoken.
_TOKEN = re.compile(
    rf"""
      ^[ \t]*```[^\n]*$                           # the fence of a block of code
    | ^[ \t]*(?:\#{{1,6}}|[-+*•>](?=\s))[ \t]*    # a heading, an item of a list, a quotation
    | \[(?P<label>[^\]\n]*)\]\([^)\n]*\)          # a link
    | [ \t]?[{_PICTURE}]+
    | [*`~]+ | (?<!\w)_+(?=\w) | (?<=[^\W_])_+(?!\w)
    | (?P<text>[^\W_]+|.)
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)

# What may be the beginning of one of them, or the blank before a picture.
_UNDECIDED = re.compile(
    r"""(?:
      \[[^\]\n]*(?:\](?:\([^)\n]*)?)?
    | \s*^[ \t]*(?:\#{1,6}|[-+*•>]|`{1,3}[^\n]*)?[ \t]*
    | _+
    | \s+
    )\Z""",
    re.VERBOSE | re.MULTILINE,
)


class SpokenText:
    """One reply's text on its way out."""

    def __init__(self) -> None:
        self.has_begun = False  # whether anything has left
        self._known = "\n"  # what was said last, and then what is held: a reply begins a line
        self._thoughts: str | None = ""  # what may be them; None: they are over

    def add(self, piece: str) -> str:
        """What can leave now that ``piece`` is known: often less than it, or more."""
        self._known += self._after_thoughts(piece)
        end = len(self._known)
        undecided = _UNDECIDED.search(self._known, 1)
        if undecided is not None and end - undecided.start() <= _LONGEST_HELD:
            end = undecided.start()
        return self._leave(end)

    def finish(self) -> str:
        """What is left of a whole reply."""
        if self._thoughts is not None and not self._thoughts.startswith(_THOUGHTS):
            self._known += self._thoughts
        return self._leave(len(self._known)).rstrip()

    def _leave(self, end: int) -> str:
        tokens = _TOKEN.finditer(self._known, 1, end)
        text = "".join(token["label"] or token["text"] or "" for token in tokens)
        self._known = self._known[end - 1 :]
        if not self.has_begun:
            text = text.lstrip()
            self.has_begun = bool(text)
        return text

    def _after_thoughts(self, piece: str) -> str:
        if self._thoughts is None:
            return piece
        begun = self._thoughts = (self._thoughts + piece).lstrip()
        if _THOUGHTS.startswith(begun):
            return ""
        rest = begun
        if begun.startswith(_THOUGHTS):
            _, end, rest = begun.partition("</think>")
            if not end:
                return ""
        self._thoughts = None
        return rest
