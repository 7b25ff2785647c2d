from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from atoll.engines.local.corrections import cutoffs, metadata
from atoll.engines.local.pythons import Pythons


def test_a_day_is_seen_to_its_end_and_today_is_not_cut_off():
    assert cutoffs(date(2021, 6, 1)) == ["--exclude-newer", "2021-06-02T00:00:00Z"]
    today = datetime.now(UTC).date()
    assert cutoffs(None) == cutoffs(today) == cutoffs(today + timedelta(days=3)) == []


def test_what_uv_builds_old_packages_with_is_seen_from_any_day():
    assert cutoffs(date(2018, 3, 15)) == [
        *("--exclude-newer", "2018-03-16T00:00:00Z"),
        *("--exclude-newer-package", "setuptools=2019-02-07T00:00:00Z"),
        *("--exclude-newer-package", "wheel=2019-02-07T00:00:00Z"),
    ]
    assert "--exclude-newer-package" not in cutoffs(date(2019, 2, 6))


async def test_a_setuptools_that_uv_can_build_with_is_there_before_2019(site, index):
    index.listing["setuptools"].clear()
    index.wheel("setuptools", "38.0", uploaded="2018-01-01T00:00:00Z")
    index.wheel("setuptools", "40.8.0", uploaded="2019-02-05T12:00:00Z")
    index.wheel("setuptools", "41.0", uploaded="2019-04-01T00:00:00Z")
    made = await site.build({"requirements.txt": "pip\n"}, day="2018-06-01")
    there = [minor for minor in Pythons(site.folder / "p").available() if minor <= (3, 7)]
    expected = "40.8.0" if there else "41.0"  # a newer Python sees the index of its own time
    assert f"setuptools=={expected}" in Path(made.handle, "lock.txt").read_text()


def test_the_corrections_are_a_uv_toml():
    listed = tomllib.loads(metadata())["dependency-metadata"]
    assert {one["name"] for one in listed} == {"pandas", "sklearn"}
    assert len({one["version"] for one in listed}) == len(listed) > 10


async def test_an_old_pandas_whose_own_word_uv_cannot_read_is_installed_all_the_same(site, index):
    index.wheel("numpy", "1.15.4")
    index.wheel("python-dateutil", "2.7.5")
    index.wheel("pytz", "2018.7")
    index.wheel("pandas", "0.23.4", requires=["pytz (>=2011k)", "numpy (>=1.9.0)"])
    made = await site.build({"requirements.txt": "pandas==0.23.4\n"}, day="2018-12-01")
    lock = Path(made.handle, "lock.txt").read_text()
    assert "pandas==0.23.4" in lock
    assert "pytz==2018.7" in lock
    assert await site.python(made, "import pandas; print(pandas.VERSION)") == ["0.23.4"]
