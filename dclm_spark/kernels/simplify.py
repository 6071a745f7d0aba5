"""Texts as they are compared: in lower case, or as datatrove simplifies them."""

import pyarrow as pa

from dclm_spark.kernels.lowering import lower_text


def simplify(text: pa.Array, normalization: str) -> pa.Array:
    """The normalized texts; null for null."""
    if normalization == "none":
        return text
    if normalization == "lower":
        return lower_text(text)
    raise NotImplementedError
