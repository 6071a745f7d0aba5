"""What a job refuses before any work."""

import pytest

from dclm_spark.errors import RecipeError
from dclm_spark.pipeline.duplicates import make_duplicates
from dclm_spark.pipeline.job import Job
from dclm_spark.pipeline.signatures import make_signatures
from dclm_spark.recipe.builtin import DCLM_BASELINE
from tests.support.chains import DUMP


@pytest.mark.parametrize("make", [make_signatures, lambda job: make_duplicates(job, [job.dump])])
def test_a_recipe_without_settings_of_near_duplicates_is_refused(warehouse, make):
    with pytest.raises(RecipeError, match="dclm_baseline has no settings of near-duplicates; expected signatures"):
        make(Job(warehouse, DUMP, DCLM_BASELINE))
