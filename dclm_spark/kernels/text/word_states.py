"""Finds UAX #29's word segments by a table of states, for loops that read a text character by character.

The segments are those of `words.next_word_end`, whose comments name the rules. A state holds what the rules need of a
segment so far: the class of its last visible character (WB4 ignores some), whether a joiner followed it, and whether a
character waits for the next one to decide if it belongs to the segment (WB6, WB7b, WB12).
"""

import numpy as np

from dclm_spark.kernels.text.unicode import (
    ALETTER,
    CR,
    DOUBLE_QUOTE,
    EXTEND,
    EXTEND_NUM_LET,
    HEBREW_LETTER,
    IS_PICTOGRAPHIC,
    KATAKANA,
    MID_LETTER,
    MID_NUM,
    MID_NUM_LET,
    NEWLINE,
    NUMERIC,
    REGIONAL_INDICATOR,
    SINGLE_QUOTE,
    WORD_BREAK,
    WSEG_SPACE,
    ZWJ,
)

COLUMNS = 2 * IS_PICTOGRAPHIC
"""Number of columns of the table, one for each value of a character's flags below it."""
# States after the last visible character of a segment; `_ANY` for classes after which no character continues it.
_ANY, _LETTER, _HEBREW, _NUMBER, _KATAKANA, _CONNECTOR, _FLAG, _HEBREW_QUOTE = range(8)
_JOINER = 8  # added to these: a zero-width joiner is the last character
START, _SPACES, _LINE = range(16, 19)
_MID_LETTERS, _MID_NUMBERS, _MID_HEBREW, BREAK = range(19, 23)
PENDING = _MID_LETTERS
"""First of the states in which the segment ends before the last character, unless the next one continues it."""

_STATE_OF = {
    ALETTER: _LETTER,
    HEBREW_LETTER: _HEBREW,
    NUMERIC: _NUMBER,
    KATAKANA: _KATAKANA,
    EXTEND_NUM_LET: _CONNECTOR,
}
_WORD = (ALETTER, HEBREW_LETTER, NUMERIC, EXTEND_NUM_LET)
_GOES_ON_WITH = {
    _LETTER: _WORD,
    _HEBREW: _WORD,
    _NUMBER: _WORD,
    _KATAKANA: (KATAKANA, EXTEND_NUM_LET),
    _CONNECTOR: (*_WORD, KATAKANA),
    _HEBREW_QUOTE: (ALETTER, HEBREW_LETTER),
    _MID_LETTERS: (ALETTER, HEBREW_LETTER),
    _MID_NUMBERS: (NUMERIC,),
    _MID_HEBREW: (HEBREW_LETTER,),
}
_TURNS_TO = {
    _LETTER: dict.fromkeys((MID_LETTER, MID_NUM_LET, SINGLE_QUOTE), _MID_LETTERS),
    _HEBREW: {
        MID_LETTER: _MID_LETTERS,
        MID_NUM_LET: _MID_LETTERS,
        SINGLE_QUOTE: _HEBREW_QUOTE,  # which goes with the letter in any case (WB7a)
        DOUBLE_QUOTE: _MID_HEBREW,
    },
    _NUMBER: dict.fromkeys((MID_NUM, MID_NUM_LET, SINGLE_QUOTE), _MID_NUMBERS),
    _FLAG: {REGIONAL_INDICATOR: _ANY},
    _SPACES: {WSEG_SPACE: _SPACES},
}


def _first_state(class_):
    if class_ >= CR:
        return _LINE
    if class_ == ZWJ:
        return _ANY + _JOINER
    return {WSEG_SPACE: _SPACES, REGIONAL_INDICATOR: _FLAG}.get(class_, _STATE_OF.get(class_, _ANY))


def _next_state(state, class_, is_pictographic):
    if state == START:
        return _first_state(class_)
    is_joined = _JOINER <= state < START
    visible = state - _JOINER if is_joined else state
    if class_ in _GOES_ON_WITH.get(visible, ()):
        return _STATE_OF[class_]
    if class_ >= CR or state in (_LINE, BREAK):
        return BREAK
    if is_joined and is_pictographic:  # WB3c
        return _STATE_OF.get(class_, _ANY)
    if class_ >= EXTEND:  # WB4
        if state >= PENDING:
            return state
        if state == _SPACES:
            visible = _ANY
        return visible + _JOINER if class_ == ZWJ else visible
    return _TURNS_TO.get(visible, {}).get(class_, BREAK)


TRANSITIONS = np.array(
    [
        _next_state(state, min(column & WORD_BREAK, NEWLINE), column & IS_PICTOGRAPHIC != 0)
        for state in range(BREAK)
        for column in range(COLUMNS)
    ],
    dtype=np.uint8,
)
"""The state after a character, at `state * COLUMNS + column`; BREAK if a segment ends before it."""
