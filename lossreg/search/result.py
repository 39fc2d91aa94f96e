"""`Result`: a study's result as Python and notebooks show it, with its tables, plots and predictor."""

from __future__ import annotations

import html
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lossreg.errors import InputError, did_you_mean
from lossreg.storage.study_result import StudyResult

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from lossreg.prediction.predictor import Predictor

COLUMNS = ["rank", "candidate", "best_score", "best_trial", "trials", "learning_rate", "recipe"]
CONFIRMED = ["confirmed_score", "standard_error"]


class Result(StudyResult):
    """A `StudyResult` with tables, plots and a predictor."""

    @classmethod
    def of(cls, result: StudyResult) -> Result:
        """Return a result in this form, as it is where it has it."""
        return (
            result
            if isinstance(result, cls)
            else cls(**{field.name: getattr(result, field.name) for field in fields(StudyResult)})
        )

    @cached_property
    def predictor(self) -> Predictor:
        """The predictor from raw rows as the recommended trial learned it; imports Keras.

        Raises `InputError` where the study has no model yet, or its folder is gone.
        """
        from lossreg.search.predictors import load_predictor

        if not Path(self.folder).is_dir():
            raise InputError("the folder of the study, which has its predictor, is gone", where=self.folder)
        return load_predictor(self.folder)

    def leaderboard(self) -> pd.DataFrame:
        """Return a row per loss, the best first, as the leaderboard has them.

        spread: the standard deviation over folds or seeds; default_score: without the tuned decision; None without.
        """
        import pandas as pd

        from lossreg.reporting import leaderboard

        return pd.DataFrame(leaderboard.rows(self))

    def trials_frame(self) -> pd.DataFrame:
        """Return a row per trial in order of number: loss, score, recipe, and a column for each parameter.

        spread and default_score are those of `leaderboard`.
        """
        import pandas as pd

        from lossreg.reporting import trial_table

        params = {trial.number: dict(trial.params) for trial in self.trials}
        return pd.DataFrame([{**params[row["trial"]], **row} for row in trial_table.rows(self)])

    def pareto(self) -> pd.DataFrame:
        """Return a row per trial of the Pareto front, the best by the first metric first.

        Raises `InputError` for a study with one metric.
        """
        import pandas as pd

        from lossreg.reporting import pareto

        if not self.objectives:
            hint = 'Such as metrics = ["f1_macro", "brier"] under [search].'
            raise InputError(f"study {self.study!r} has one metric, {self.metric}, and no front", hint=hint)
        return pd.DataFrame(pareto.rows(self))

    def plot(self, name: str) -> Figure:
        """Return a plot: `losses`, `curves`, `history`, `parameters`, `pareto` or `verdict` where there are some.

        Raises `InputError` for another name, and for a plot that this study has not.
        """
        from lossreg.reporting import study_plots

        figures = {NAMES.get(stem, stem): figure for stem, figure in study_plots.figures(self).items()}
        if figures and (verdict := study_plots.verdict(self)) is not None:
            figures["verdict"] = verdict
        if name not in figures:
            hint = did_you_mean(str(name), figures) or f"It has {', '.join(figures) or 'none'}."
            raise InputError(f"study {self.study!r} has no plot {name!r}", where="plot", hint=hint)
        return figures[name]

    def __str__(self) -> str:
        """Return the decision, the recommended trial and the leaderboard as text."""
        table = self.leaderboard()[self._columns()[:-1]].to_string(index=False)
        return "\n".join([*self._decision(), "", self._caption(), table])

    def _repr_html_(self) -> str:
        """Return the decision, the recommended trial and the leaderboard for a notebook."""
        table = self.leaderboard()[self._columns()].to_html(index=False, float_format="{:.4g}".format, border=0)
        decision, *recommended = map(html.escape, self._decision())
        further = "".join(f"<p>{line}</p>" for line in [*recommended, html.escape(self._caption())])
        return f"<p><b>{decision}</b></p>{further}{table}"

    def _decision(self) -> list[str]:
        """Return what to train with: in a sentence, and the trial."""
        from lossreg.reporting import report, verdict

        decision = verdict.decision(self, self.verdict) if self.verdict else repr(self)[1:-1]
        return [line for line in (decision, report.recommended(self)) if line]

    def _caption(self) -> str:
        """Return what the leaderboard shows, whose first trial need not be the recommended one."""
        from lossreg.reporting import report

        kind = report.kind_of_score(self, self.best)
        return f"The {self.extreme} {kind} score ({self.metric}) of each loss:"

    def _columns(self) -> list[str]:
        """Return the columns that are shown: with the confirmed scores where there are some."""
        first, rest = COLUMNS[:2], COLUMNS[2:]
        return [*first, *CONFIRMED, *rest] if self.confirmation else COLUMNS


NAMES: dict[str, Any] = {"by_loss": "losses", "slices": "parameters"}
