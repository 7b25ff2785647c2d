"""Addresses in specifications are seen however they are written, since uv takes many forms."""

from __future__ import annotations

import pytest

from atoll.environments.projects import lock_leads_away, read_project
from atoll.environments.requirements import names_addresses, names_places

LEADING = [
    "x @ https://example.org/x.whl",
    "x @ http:10.0.0.1/x-1-py3-none-any.whl",
    "http:10.0.0.1/x-1-py3-none-any.whl",
    "git+http:10.0.0.1/x",
    "-e git+ssh://git@example.org/x",
    "-f http:10.0.0.1/x",
    "--extra-index-url=http://10.0.0.1/",
    "${PIP_INDEX_URL}/x.whl",
]
STAYING = [
    "six==1.16.0 --hash=sha256:aa --hash=sha256:bb",
    'numpy[extra]>=1 ; python_version < "3.9"',
    "--only-binary :all:",
    "--no-binary=:none:",
    "./local",
]


@pytest.mark.parametrize("line", LEADING)
def test_a_requirement_that_leads_away_is_seen(line):
    assert names_addresses({"requirements.txt": f"six\n{line}\n".encode()})


@pytest.mark.parametrize("line", STAYING)
def test_a_requirement_that_stays_is_not_suspected(line):
    assert not names_addresses({"requirements.txt": f"{line}\n".encode()})


def test_packages_of_the_repository_itself_are_seen():
    for line in ("./local", "-e .", "wheels/x-1-py3-none-any.whl", "local[extra]/x", "x @ ./y"):
        assert names_places({"requirements.txt": f"six\n{line}\n".encode()}) is (
            not line.startswith("x @")
        )
    for line in STAYING[:-1]:
        assert not names_places({"requirements.txt": f"{line}\n".encode()})


def project(dependency: str, more: str = "") -> bytes:
    return f'[project]\nname = "x"\nversion = "1"\ndependencies = [{dependency!r}]\n{more}'.encode()


@pytest.mark.parametrize(
    "body",
    [
        project("x @ git+http:10.0.0.1/x"),
        project("x", '[tool.uv.sources]\nx = { git = "http:10.0.0.1/x" }\n'),
        project("x", '[tool.uv]\noverride-dependencies = ["x @ http:10.0.0.1/x.whl"]\n'),
        project("x", '[dependency-groups]\ndev = ["x @ http\\u003a10.0.0.1/x.whl"]\n'),
    ],
)
def test_a_project_that_leads_away_is_seen(body):
    assert read_project("pyproject.toml", body).remote


def test_a_project_that_stays_is_not_suspected():
    body = project('six>=1 ; sys_platform == "linux"', '[tool.uv]\nprerelease = "allow"\n')
    assert not read_project("pyproject.toml", body).remote


@pytest.mark.parametrize(
    ("source", "away"),
    [
        ('registry = "https://example.org/simple"', False),
        ('virtual = "."', False),
        ('url = "http:10.0.0.1/x.whl"', True),
        ('git = "http://10.0.0.1/x"', True),
        ('path = "http:10.0.0.1/x.whl"', True),
        ('something-new = "x"', True),
    ],
)
def test_a_lock_that_leads_away_is_seen(source, away):
    body = f'version = 1\n[[package]]\nname = "x"\nversion = "1"\nsource = {{ {source} }}\n'
    assert lock_leads_away(body.encode()) is away
