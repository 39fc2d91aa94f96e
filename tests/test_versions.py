"""The constraints against whose versions the tests run are those of pyproject.toml."""

import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ALLOWED = {one.name: one.specifier for one in map(Requirement, PROJECT["dependencies"])}


def printed(*arguments):
    script = [sys.executable, str(ROOT / ".ci" / "versions.py"), *arguments]
    return subprocess.run(script, capture_output=True, text=True, check=False)


def test_lowest_allows_the_lowest_minor_version_alone():
    for line in printed("lowest").stdout.splitlines():
        wanted = Requirement(line)
        [lowest] = [part.version for part in ALLOWED[wanted.name] if part.operator == ">="]
        major, minor = (int(part) for part in f"{lowest}.0".split(".")[:2])
        assert wanted.specifier.contains(lowest if lowest.count(".") else f"{lowest}.0")
        assert not wanted.specifier.contains(f"{major}.{minor + 1}.0")


def test_newest_is_what_is_allowed():
    wanted = {one.name: one.specifier for one in map(Requirement, printed("newest").stdout.splitlines())}
    assert len(wanted) == 6
    assert all(ALLOWED[name] == specifier for name, specifier in wanted.items())


def test_another_word_is_refused_without_a_traceback():
    done = printed("oldest")
    assert done.returncode != 0
    assert done.stderr.strip() == "usage: python .ci/versions.py lowest|newest"


def test_the_citation_has_the_version():
    import yaml

    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == PROJECT["version"]
