"""Implements the deduplication methods, one module each, for the settings that `recipe.deduplication` defines."""

from typing import Any

from dclm_spark.pipeline.methods.bloom import BloomMethod
from dclm_spark.pipeline.methods.exact import ExactMethod
from dclm_spark.pipeline.methods.method import DedupMethod
from dclm_spark.pipeline.methods.near import NearMethod
from dclm_spark.recipe.deduplication import Bloom, Exact, Near

METHODS: dict[type, type[DedupMethod[Any]]] = {Exact: ExactMethod, Near: NearMethod, Bloom: BloomMethod}
"""Class of a method's settings -> class that applies the method."""
