"""Where tokens of hubs are kept."""

import pytest

from atoll.client import known_hub
from atoll.client.keeping import SignedIn, forget, keep, kept, kept_file
from atoll.errors import BadRequest, BadSettings, Refused

HUB = SignedIn("https://hub.example.org/", "ada", "s3cret")


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def test_what_is_kept_is_for_nobody_else_and_found_again():
    assert kept() == []
    keep(HUB)
    other = SignedIn("http://other.example.org/", "ada", "t", plain_http=True)
    keep(other)
    keep(SignedIn(HUB.address, "ada", "newer"))
    assert {(one.address, one.token) for one in kept()} == {
        (HUB.address, "newer"),
        (other.address, "t"),
    }
    assert kept_file().stat().st_mode & 0o777 == 0o600
    assert kept_file().parent.stat().st_mode & 0o777 == 0o700
    assert [one.name for one in kept_file().parent.iterdir()] == ["hubs.json"]
    assert forget(HUB.address).token == "newer"
    assert forget(HUB.address) is None
    assert kept() == [other]


def test_a_file_that_others_could_read_or_that_is_broken_is_not_used():
    keep(HUB)
    kept_file().chmod(0o640)
    with pytest.raises(Refused, match="Others may read") as refused:
        kept()
    assert "chmod 600" in refused.value.hint
    kept_file().chmod(0o600)
    kept_file().write_text('{"token": "s3cret"')
    with pytest.raises(BadSettings, match="not what") as broken:
        kept()
    assert "s3cret" not in f"{broken.value}{broken.value.hint}"


def test_a_token_is_in_no_representation():
    hub = known_hub(HUB.address, "s3cret")
    assert "s3cret" not in repr(HUB) + repr(hub)
    hub.close()


def test_who_has_not_signed_in_is_told_how_and_a_token_goes_nowhere_unencrypted():
    with pytest.raises(Refused) as refused:
        known_hub("hub.example.org")
    assert refused.value.hint == "To do it: atoll sign-in https://hub.example.org/"
    with pytest.raises(BadRequest, match="without encryption"):
        known_hub("http://hub.example.org", "s3cret")
    keep(SignedIn("http://hub.example.org/", "ada", "t", plain_http=True))
    known_hub("http://hub.example.org").close()
