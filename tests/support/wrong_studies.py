"""Wrong inputs of studies: what is replaced in a sound study file, `--set`, command lines, and what must be said.

A case is (what is replaced in `GOOD`, by what, words that the message must have).
"""

from __future__ import annotations

GOOD = """\
name = "study"
[data]
source = "rows.csv"
target = "y"
test = 0.2
[model]
hidden = [4]
[train]
epochs = 1
batch_size = 8
[search]
trials = 2
metric = "accuracy"
[tracking]
enabled = true
[losses.cross_entropy]
[losses.focal]
gamma = { low = 0.0, high = 5.0 }
alpha = "none"
"""

HUGE, DIGITS = "1" + "0" * 400, "7" * 5000
SOURCE, TARGET, HIDDEN, EPOCHS = 'source = "rows.csv"', 'target = "y"', "hidden = [4]", "epochs = 1\n"
TRIALS, METRIC, GAMMA, LOSS = "trials = 2", 'metric = "accuracy"', "gamma = { low = 0.0, high = 5.0 }", "[losses.focal]"
SPLIT, ENABLED, NAME, BATCH = "test = 0.2", "enabled = true", 'name = "study"', "batch_size = 8"


def keyed(place, key, *values, parts=()):
    """One case for each value of a key that the sound file does not have."""
    return [(place, f"{place.rstrip()}\n{key} = {value}\n", (key, *parts)) for value in values]


def replaced(line, *values, message=()):
    """One case for each value of a key that the sound file has."""
    key = line.split(" = ")[0]
    return [(line.strip(), f"{key} = {value}", (key, *message)) for value in values]


# numbers that no Python, no float or no computer has room for
NUMBERS = [
    *replaced(EPOCHS, HUGE, DIGITS, "1_000_000_000_000", "-1", "0", "1.0", "inf", "nan", "-0.0", "1e400", "true", '""'),
    *replaced(TRIALS, HUGE, DIGITS, "100_000_000_000", "0", "-3", "2.5", "[2]"),
    *replaced(BATCH, HUGE, DIGITS, "0", "1e3", "{ choices = [] }", "{ choices = [8, 0] }", "{ low = 1, high = 2 }",
              "{ choices = [8, 8] }", f"{{ choices = [8, {HUGE}] }}"),
    *replaced(SPLIT, "nan", "inf", "1e400", "-0.1", "1", HUGE, DIGITS, '"0.2"', "2020-01-01"),
    *replaced(HIDDEN, f"[{HUGE}]", f"[{DIGITS}]", "[0]", "[-4]", "[4.0]", "4", "[1_000_000_000_000]", '["4"]',
              "{ choices = [[0]] }", "[[4]]"),
    *keyed("[search]\n", "seeds", "100_000_000", HUGE, DIGITS, "0"),
    *keyed("[search]\n", "seed", "-1", "4294967296", HUGE, "1.5", "true"),
    *keyed("[search]\n", "minutes", "nan", "inf", "-1", "0", "-0.0", "1e400", HUGE, '"5"'),
    *keyed("[search]\n", "lanes", "100_000_000", HUGE, "0", '"many"', "true", "1.5"),
    *keyed("[data]\n", "folds", HUGE, "1", "100_000_000", "true", "5.0"),
    *keyed("[data]\n", "validation", "nan", "1.0", "-0.1", HUGE),
    *keyed("[train]\n", "learning_rate", "1e400", "nan", "-inf", "0", "-0.0", "-1", HUGE, "true",
           "1e300", "1e-320", "{ low = 1e-60, high = 1.0 }", "{ choices = [1e-3, 1e39] }",
           "{ low = 1e-400, high = 1.0 }", "{ low = 1.0, high = 0.1 }", f"{{ low = 0.1, high = {HUGE} }}",
           "{ low = 0.1 }", '"fast"', "[0.1]"),
    *keyed("[train]\n", "early_stopping", HUGE, "0", "-1", "true", '"yes"', "{}", "{ patience = 1, min_delta = nan }",
           "{ patience = 1, min_delta = -1 }", "{ patience = 1, mindelta = 0.1 }"),
    *keyed("[train]\n", "class_weight", f"[1.0, {HUGE}]", "[]", "{}", "[nan, 1.0]", "[-1.0, 1.0]", '["a"]',
           '"balnced"', "{ yes = true }", "3"),
    *keyed("[train]\n", "optimizer", '{ name = "sgd", momentum = nan }', f'{{ name = "sgd", momentum = {HUGE} }}',
           '{ name = "sgd", momentum = 1e400 }', '{ name = "sgd", learning_rate = 1.0 }', '{ name = "sgd", x = 1 }',
           '{ name = "sgd", nesterov = 1 }', '{ momentum = 0.9 }', "3", '"sdg"', '""', "[]", "1979-05-27",
           '{ name = "adam", ema_momentum = { choices = [0.9, 0.99] } }'),
    *keyed("[train]\n", "schedule", '"cosin"', "3", "{}", f'{{ name = "cosine", alpha = {HUGE} }}',
           '{ name = "cosine", alpha = nan }', '{ name = "cosine", alpha = "x" }', '{ name = "cosine", beta = 1 }',
           '{ name = "piecewise", boundaries = [0.9, 0.1], values = [1, 2, 3] }',
           '{ name = "piecewise", boundaries = [0.1], values = [1] }'),
    *keyed("[data]\n", "image_size", "0", "-1", "[64]", "[64, 64, 3]", "[0, 64]", "[64.0, 64]", "true",
           '"64"', "{ a = 1 }", parts=("[64, 64]",)),
    *keyed("[data]\n", "image_channels", "0", "2", "3.0", '"rgb"', "true", "[3]", parts=("1 (grey)",)),
    *keyed("[model]\n", "filters", "[]", "[0]", "16", "[16.0]", "[1_000_000_000_000]", "{ choices = [] }",
           "{ choices = [[]] }", "{ low = 8, high = 16 }"),
    *keyed("[model]\n", "kernel_size", "0", "-3", "2.5", "[3]", "true", HUGE, "{ low = 3, high = 5 }"),
    *keyed("[model]\n", "dropout", "1.0", "-0.1", "nan", HUGE, "{ low = 0.5, high = 0.1 }", "{ low = 0, high = 1.0 }",
           "{ low = 0.1, high = 0.5, log = true }", f"{{ low = 0, high = {HUGE} }}", "true"),
    *replaced(GAMMA, "nan", "1e400", HUGE, DIGITS, "{ low = 1 }", "{ choices = [] }", "{ choices = [[[1]]] }",
              f"{{ low = 0.0, high = {HUGE} }}", "{ low = 0.0, high = inf }", "{ low = nan, high = 1.0 }",
              "12:00:00", "{ choices = [1979-05-27] }", "{ lo = 1, high = 2 }", "[]", "{}", '[["a"]]'),
]  # fmt: skip

WORDS = [
    *replaced(NAME, '"../up"', '"a/b"', '""', '"."', '".."', f'"{"n" * 300}"', '"a\\u0000b"', '"\\u001b[31mred"',
              '"é"', "3", "2020-01-01", "[]", '"-x"', '" "', "'''a\nb'''"),
    *replaced(SOURCE, '""', "3", "[]", "{}", "2020-01-01"),
    *replaced(TARGET, '""', "[]", '["y", "y"]', "3", "[1]", '["y", ""]', "true"),
    *keyed("[data]\n", "drop", '"a"', "[1]", '[""]', '["y"]', "3"),
    *keyed("[data]\n", "drop_unreadable", "1", '"yes"', "[]"),
    *keyed("[model]\n", "filters", '[16]\nbuild = "mlp"', parts=('build = "cnn"',)),
    *keyed("[data]\n", "weight", '""', "3", '"y"'),
    *keyed("[data]\n", "task", '"binry"', "3", '""'),
    *keyed("[data]\n", "preprocess", '"standrad"', "3", '{ x = "all" }', "[]"),
    *keyed("[model]\n", "activation", '""', "3", "{ choices = [] }", "{ choices = [3] }"),
    *keyed("[model]\n", "batch_norm", "1", '"yes"', "{ choices = [1] }", "{ low = 0, high = 1 }"),
    *keyed("[model]\n", "hp", '"search"', "3", "{ units = { low = 1 } }"),
    *keyed("[model]\n", "build", '""', "3", "[]"),
    *replaced(METRIC, '""', "3", "[]"),
    *keyed("[search]\n", "keep", '"bst"', "true"),
    *keyed("[search]\n", "pruner", '"medain"', "false"),
    *keyed("[search]\n", "trainer", '"gpu"'),
    *keyed("[search]\n", "sampler", '"grid"', '"hub:"', '"hub:a/b"', "3"),
    *keyed("[search]\n", "score_epoch", '"first"', "3"),
    *keyed("[tracking]\n", "experiment", f'"{"e" * 600}"', "3"),
    *keyed("[tracking]\n", "uri", '""', "3", '"a\\u0000b"', '"sqlite:///a\\u0000b.db"', '"htp:/x"'),
    *replaced(ENABLED, '"yes"', "1", "[]"),
    *keyed("[losses.focal]\n", "function", '"x"', '"x.py"', '"x.py:"', '"x.py:1a"', '":f"', '""', "3", parts=()),
    *keyed("[losses.focal]\n", "loss", '""', "3"),
    *keyed("[losses.focal]\n", "activation", '"softmx"', '"softmax"'),
]  # fmt: skip

SHAPES = [
    ("[data]", "data = 3\n[dta]", ("data",)),
    ("[data]", "[[data]]", ("data",)),
    (LOSS, "[[losses.focal]]", ("losses.focal",)),
    (LOSS, '[losses."a b"]', ("losses", "letters")),
    (LOSS, '[losses."\\u001b[31m"]', ("losses", "letters")),
    (LOSS, '[losses.""]', ("losses", "letters")),
    (LOSS, "[losses.é]", ("TOML", "line")),
    (LOSS, "[losses.cross_entropy]", ("TOML", "line")),
    (EPOCHS, "epochs = 1\nepochs = 2\n", ("TOML", "line 10")),
    (EPOCHS, "epochs = 01\n", ("TOML", "line")),
    (EPOCHS, "epochs = \n", ("TOML", "line")),
    (EPOCHS, "epochs = many\n", ("TOML", "line", "quotes")),
    (EPOCHS, 'epochs = 1\n"\\u001b[2J" = 1\n', ("train", "unknown key")),
    (EPOCHS, 'epochs = 1\n"" = 1\n', ("train", "unknown key")),
    (EPOCHS, 'epochs = 1\nx = "\\uD800"\n', ("TOML", "line")),
    (EPOCHS, "epochs = 1\nx = \x07\n", ("TOML", "line")),
    (EPOCHS, f"epochs = {'[' * 3000}{']' * 3000}\n", ("nested",)),
    (EPOCHS, f"epochs = {'{ a = ' * 3000}1{'}' * 3000}\n", ("nested",)),
    (EPOCHS, f"epochs = {'[' * 150}{']' * 150}\n", ("train.epochs",)),
    (EPOCHS, f"epochs = 1\n{'.'.join(['a'] * 3000)} = 1\n", ("nested",)),
    (EPOCHS, f"epochs = 1\n{'k' * 5000} = 1\n", ("unknown key",)),
    (GAMMA, f"gamma = {'[' * 3000}{']' * 3000}", ("nested",)),
    (GAMMA, f"gamma = {'{ choices = [' * 100}1{'] }' * 100}", ("losses.focal.gamma",)),
    ("[search]", "[serach]", ("serach", "Did you mean search?")),
    (NAME, 'nmae = "study"', ("nmae", "Did you mean name?")),
    (NAME, 'name = "study"\nplugins = 3', ("plugins",)),
    (NAME, 'name = "study"\nplugins = { block = "x" }', ("plugins.block",)),
    (NAME, 'name = "study"\nplugins = { block = [1] }', ("plugins.block",)),
    (NAME, 'name = "study"\nplugins = { block = [""] }', ("plugins.block",)),
    (NAME, 'name = "study"\nplugins = { blok = [] }', ("plugins.blok", "Did you mean block?")),
    (SPLIT, "folds = 3\nvalidation = 0.2", ("folds and validation",)),
    (SOURCE, "", ("data.source", "missing")),
    (LOSS, '[losses.own]\nfunction = "x.py:f"\nloss = "focal"\n[losses.focal]', ("losses.own", "exclude")),
]  # fmt: skip

DOCUMENTS = [*NUMBERS, *WORDS, *SHAPES]

# whole files, as bytes
FILES = {
    "UTF-16": (GOOD.encode("utf-16"), ("UTF-8",)),
    "Latin-1": (GOOD.replace("study", "Größe").encode("latin-1"), ("UTF-8",)),
    "zeros": (bytes(4096), ("TOML",)),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), ("UTF-8",)),
    "no text": (b"", ("data", "missing")),
    "white space": (b" \n\t\n", ("data", "missing")),
    "JSON": (b'{"data": {"source": "rows.csv"}}', ("TOML", "line 1")),
    "YAML": (b"data:\n  source: rows.csv\n", ("TOML", "line 1")),
    "an archive": (b"PK\x03\x04" + bytes(100), ("TOML",)),
    "BOM twice": (b"\xef\xbb\xbf\xef\xbb\xbf" + GOOD.encode(), ("TOML", "line 1")),
}

OVERRIDES = [
    ("nonsense", ("key=value",)),
    ("", ("key=value",)),
    ("=3", ("key=value",)),
    ("search..trials=3", ("key=value",)),
    (".=3", ("key=value",)),
    ("serch.trials=3", ("serch", "Did you mean search?")),
    ("search.trails=3", ("search.trails", "Did you mean trials?")),
    (f"search.trials={HUGE}", ("search.trials",)),
    (f"search.trials={DIGITS}", ("search.trials",)),
    (f"search.trials=-{DIGITS}", ("search.trials",)),
    (f"search.trials=[{DIGITS}]", ("search.trials",)),
    (f"search.minutes={DIGITS}", ("search.minutes",)),
    (f"search.trials={'[' * 3000}{']' * 3000}", ("search.trials",)),
    (f"search.trials={'{a=' * 3000}1{'}' * 3000}", ("search.trials",)),
    ("search.trials.x=3", ("search.trials is 2, not a table",)),
    (f"{'.'.join(['a'] * 3000)}=1", ("nested",)),
    (f"search.{'k' * 5000}=1", ("unknown key",)),
    ("search.trials=", ("search.trials",)),
    ("search.trials=[1,", ("search.trials",)),
    ("search.trials=1\nfoo = 2", ("search.trials",)),
    ("search.trials=\x00", ("search.trials",)),
    ("search.trials=\x1b[31m", ("search.trials",)),
    ("search.seed=\ud800", ("search.seed",)),
    ("search=3", ("search",)),
    ("data=[]", ("data",)),
    ("name=../x", ("name",)),
    ("losses=3", ("losses",)),
    ("losses.focal=3", ("losses.focal",)),
    ("losses.focal.gamma={low=9,high=1}", ("losses.focal.gamma", "upside down")),
    ("train.epochs=1e400", ("train.epochs",)),
    ("train.learning_rate=1e400", ("train.learning_rate",)),
    ("search.minutes=nan", ("search.minutes",)),
    ("data.drop[0]=x", ("drop",)),
    ("data.test=2020-01-01", ("data.test",)),
    ("model.hidden=[4", ("model.hidden",)),
    ("tracking.uri=htp:/x", ("htp",)),
]

# command lines in a folder that has study.toml, never run, and the files named here
LONG = "d/" * 2500 + "x.toml"
COMMANDS = [
    (("report", "study.toml", "-o", "page.pdf"), ("--output page.pdf", "must end in .html")),
    (("report", "study.toml", "-o", "pipe.html"), ("--output pipe.html", "is a device or a pipe")),
    (("report", "study.toml", "-o", "rows.csv/page.html"), ("--output rows.csv/page.html", "rows.csv is no folder")),
    (("compare",), ("STUDY",)),
    (("compare", "study.toml"), ("study.toml", "Name another one")),
    (("tune",), ("STUDY",)),
    (("tune", "study.toml", "--sett", "a=1"), ("--sett",)),
    (("tune", "study.toml", "more.toml"), ("more.toml",)),
    (("tune", "study.toml", "--set"), ("--set",)),
    (("tune", ""), ("folder",)),
    (("tune", "none.toml"), ("none.toml", "no such file")),
    (("tune", "studi.toml"), ("studi.toml", "Did you mean study.toml?")),
    (("tune", "nowhere/study.toml"), ("nowhere",)),
    (("tune", "study.toml/x.toml"), ("study.toml/x.toml",)),
    (("tune", "folder"), ("folder", "is a folder")),
    (("tune", "pipe"), ("pipe", "not a file")),
    (("tune", "/dev/null"), ("/dev/null", "not a file")),
    (("tune", "loop.toml"), ("loop.toml", "links")),
    (("tune", "dangling.toml"), ("dangling.toml",)),
    (("tune", "big.toml"), ("big.toml", "too large")),
    (("tune", LONG), ("too long",)),
    (("tune", "x" * 5000), ("too long",)),
    (("tune", "rows.csv"), ("rows.csv", "lossreg init rows.csv")),
    (("results",), ("STUDY",)),
    (("results", "study.toml"), ("study", "not been run")),
    (("results", "none.toml"), ("none.toml",)),
    (("results", LONG), ("too long",)),
    (("results", "folder"), ("is a folder",)),
    (("results", "study.toml", "--trial", "1"), ("--trial",)),
    (("model",), ("STUDY",)),
    (("model", "study.toml"), ("not been run",)),
    (("model", "study.toml", "--trial", "-1"), ("--trial",)),
    (("model", "study.toml", "--trial", "one"), ("--trial",)),
    (("model", "study.toml", "--trial", "1.5"), ("--trial",)),
    (("model", "study.toml", "--trial", DIGITS), ("--trial",)),
    (("model", "study.toml", "-o", "model.h5"), ("--output", ".keras")),
    (("model", "study.toml", "-o", "folder"), (".keras",)),
    (("model", "study.toml", "-o", ""), (".keras",)),
    (("model", "study.toml", "-o", "folder.keras"), ("folder.keras", "is a folder")),
    (("model", "study.toml", "-o", "rows.csv/m.keras"), ("rows.csv", "--output")),
    (("model", "study.toml", "-o", "x" * 5000 + ".keras"), ("too long",)),
    (("model", "none.toml"), ("none.toml",)),
    (("sync",), ("STUDY",)),
    (("sync", "study.toml"), ("not been run",)),
    (("sync", "none.toml"), ("none.toml",)),
    (("sync", "untracked.toml"), ("tracking.enabled",)),
    (("repair",), ("STUDY",)),
    (("repair", "study.toml"), ("not been run",)),
    (("repair", "none.toml"), ("none.toml",)),
    (("repair", "folder"), ("is a folder",)),
    (("repair", "study.toml", "--force"), ("--force",)),
    (("ui", "none.toml"), ("none.toml",)),
    (("ui", "--port", "0"), ("--port",)),
    (("ui", "--port", "65536"), ("--port",)),
    (("ui", "--port", "x"), ("--port",)),
    (("ui", "--port", DIGITS), ("--port",)),
    (("ui", "nul.toml"), ("tracking.uri",)),
    (("losses", "--task", "binry"), ("binry", "Did you mean binary?")),
    (("losses", "focal"), ("focal",)),
    (("losses", "--task"), ("--task",)),
    (("metrics", "--task", "x\x1b[31m"), ("unknown task",)),
    (("metrics", "--task", "regresion"), ("Did you mean regression?",)),
    (("show",), ("no loss is named",)),
    (("show", "fcoal"), ("Did you mean focal?",)),
    (("show", ""), ("unknown loss",)),
    (("show", "f" * 5000), ("unknown loss",)),
    (("show", "focal", "--all"), ("--all",)),
    (("show", "--all"), ("--plot",)),
    (("show", "focal", "--plot", "x.gif"), ("x.gif", ".png")),
    (("show", "focal", "--plot", "nowhere/x.png"), ("nowhere",)),
    (("show", "focal", "--plot", "rows.csv/x.png"), ("rows.csv",)),
    (("show", "focal", "--plot", "folder"), ("folder",)),
    (("show", "focal", "--plot", "x" * 5000 + ".png"), ("too long",)),
    (("show", "focal", "--plot", ""), ("folder",)),
    (("show", "--all", "--plot", "rows.csv"), ("rows.csv",)),
    (("show", "--all", "--plot", "rows.csv/x"), ("rows.csv",)),
    (("show", "--all", "--plot", "x" * 5000), ("too long",)),
    (("check", "fcoal"), ("Did you mean focal?",)),
    (("check", "focal", "--only", "gradiant"), ("gradiant", "Did you mean gradient?")),
    (("check", "focal", "--only", ""), ("unknown check",)),
    (("plugins", "x"), ("x",)),
    (("plugins", "--task", "binary"), ("--task",)),
    (("new-plugin",), ("NAME",)),
    (("new-plugin", ""), ("name",)),
    (("new-plugin", "a/b"), ("a/b",)),
    (("new-plugin", "../x"), ("../x",)),
    (("new-plugin", "9lives"), ("9lives",)),
    (("new-plugin", "n" * 5000), ("n" * 20,)),
    (("new-plugin", "a\x00b"), ("name",)),
    (("new-plugin", "class"), ("class",)),
    (("new-plugin", "focal"), ("focal",)),
    (("new-plugin", "tilted", "--task", "binry"), ("binry",)),
    (("new-plugin", "tilted", "--folder", "rows.csv"), ("rows.csv",)),
    (("new-plugin", "tilted", "--folder", "x" * 5000), ("too long",)),
    (("new-plugin", "taken"), ("lossreg-taken",)),
    (("train", "study.toml"), ("train",)),
]
