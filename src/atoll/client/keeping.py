"""Keeping: the hubs to which a person has signed in, with their tokens, in a file of theirs."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from atoll.errors import BadSettings, Refused

OTHERS = 0o077


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A hub that knows us as *person*; without encryption, which we know, if ``plain_http``."""

    address: str
    person: str
    token: str = field(repr=False)
    plain_http: bool = False


_KEPT = TypeAdapter(list[SignedIn])


def kept_file() -> Path:
    """Return where they are: ``atoll/hubs.json`` in the XDG folder for configuration."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "atoll" / "hubs.json"


def kept() -> list[SignedIn]:
    """Return all hubs to which we have signed in.

    Raises `Refused` where others could have read the file, `BadSettings` for one that is broken.
    """
    file = kept_file()
    try:
        with file.open("rb") as opened:
            found = os.fstat(opened.fileno())
            if found.st_mode & OTHERS or found.st_uid != os.geteuid():
                message = f"Others may read {file}, in which your tokens are."
                raise Refused(message, hint=f"Make it yours alone: chmod 600 {file}")
            return _KEPT.validate_json(opened.read())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise BadSettings(f"{file} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        message = f"{file} is not what `atoll sign-in` writes."
        raise BadSettings(message, hint="Remove it and sign in again.") from error


def keep(new: SignedIn) -> None:
    """Remember *new* instead of what was known of that hub; raise `BadSettings` if it cannot be."""
    _write([*(one for one in kept() if one.address != new.address), new])


def forget(address: str) -> SignedIn | None:
    """Forget the hub at *address*, and return what was known of it."""
    known = kept()
    gone = next((one for one in known if one.address == address), None)
    if gone:
        _write([one for one in known if one is not gone])
    return gone


def _write(hubs: list[SignedIn]) -> None:
    file = kept_file()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number, aside = tempfile.mkstemp(dir=file.parent)  # for nobody else from the beginning
        try:
            with os.fdopen(number, "w") as writing:
                json.dump([asdict(one) for one in hubs], writing, indent=1)
            Path(aside).replace(file)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(aside).unlink()
            raise
    except OSError as error:
        raise BadSettings(f"{file} cannot be written: {error.strerror}.") from error
