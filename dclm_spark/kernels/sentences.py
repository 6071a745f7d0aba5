"""Sentences of a line inside compiled kernels, as spaCy's sentencizer divides tokens into them.

A sentence ends with the last mark of its kind (full stops, question marks and their like in all scripts) before a token
that is no punctuation.
"""

from dclm_spark.kernels.jit import helper
from dclm_spark.kernels.spacy_tables import IS_PUNCTUATION, IS_SENTENCE_END, class_of
from dclm_spark.kernels.unicode import IS_SPACE
from dclm_spark.kernels.words import next_word_end


@helper
def count_uax29_sentences(points, flags, start, stop, tables):
    """The number of sentences between `start` and `stop`, UAX #29 segments as tokens; 0 where all is white space."""
    classes = tables.classes
    n_sentences = 0
    has_ended = True
    at = start
    while at < stop:
        end = next_word_end(flags, at, stop)
        if not flags[at] & IS_SPACE:
            # A segment that begins with punctuation is one mark, and what WB4 joins to it.
            kind = class_of(points[at], classes)
            if n_sentences == 0 or (has_ended and not kind & (IS_PUNCTUATION | IS_SENTENCE_END)):
                n_sentences += 1
                has_ended = False
            if kind & IS_SENTENCE_END:
                has_ended = True
        at = end
    return n_sentences
