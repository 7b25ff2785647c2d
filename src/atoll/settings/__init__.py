"""Settings: one ``atoll.toml``, read once, all its mistakes reported together."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from atoll.errors import BadSettings
from atoll.settings.mistakes import explained
from atoll.settings.sections import (
    SOONEST,
    AccessSettings,
    BuildSettings,
    DatabaseSettings,
    GroupSettings,
    HubSettings,
    OperatorSettings,
    PagesSettings,
    Section,
    ServerSettings,
    SourceSettings,
    VolumeSettings,
)
from atoll.sign_in import Password, SignIn

LEFT_OUT = "Correct these; what is left out has its default. `atoll doctor` reads the file, too."


class Settings(Section):
    """All of ``atoll.toml``. ``data`` is the one folder in which everything is kept."""

    data: Path = Field(default_factory=lambda: default_data(), description="The data folder")  # noqa: PLW0108
    hub: HubSettings = HubSettings()
    database: DatabaseSettings = DatabaseSettings()
    access: AccessSettings = AccessSettings()
    sources: SourceSettings = SourceSettings()
    builds: BuildSettings = BuildSettings()
    servers: ServerSettings = ServerSettings()
    pages: PagesSettings = PagesSettings()
    sign_in: SignIn = Password()
    volumes: VolumeSettings = VolumeSettings()
    operator: OperatorSettings = OperatorSettings()
    groups: dict[str, GroupSettings] = Field(
        {},
        description=(
            "What the people of a group may have, by the group's name; "
            "of somebody's several groups, the most generous word counts"
        ),
    )

    @property
    def pause(self) -> int:
        """Seconds that may pass between two looks at what nobody uses.

        They are a small part of the time that may pass without use, so that no stop comes much too
        late and nobody's last use is overlooked.
        """
        return max(1, int(min([SOONEST, *self._ends]) / 5))

    @property
    def any_ends(self) -> bool:
        """Whether servers are stopped of which nobody has asked for it."""
        return bool(self._ends)

    @property
    def _ends(self) -> list[float]:
        said: list[ServerSettings | GroupSettings] = [self.servers, *self.groups.values()]
        return [end for one in said for end in _ends(one) if end]


def _ends(one: ServerSettings | GroupSettings) -> tuple[float | None, ...]:
    return one.idle, one.max_idle, one.max_age, one.lifetime


def default_data() -> Path:
    """Return ``$ATOLL_DATA``, or the folder that the XDG base directory specification names."""
    if named := os.environ.get("ATOLL_DATA"):
        return Path(named).absolute()
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "atoll"


def settings_file(path: Path | None = None) -> Path | None:
    """Return *path*, else ``$ATOLL_CONFIG``, else ``atoll.toml`` in the data folder if it is there.

    ``None`` says that all settings have their defaults.
    """
    named = path or (Path(os.environ["ATOLL_CONFIG"]) if "ATOLL_CONFIG" in os.environ else None)
    file = named or default_data() / "atoll.toml"
    # Where we may not even look there is none for us; `folders` says whose folder that is.
    return file if named or os.path.exists(file) else None  # noqa: PTH110 - Path's raises there


def load_settings(path: Path | None = None) -> Settings:
    """Read the `settings_file` that *path* leads to.

    Raises `BadSettings` with every mistake in it, one a line.
    """
    file = settings_file(path)
    if file is None:
        return Settings()
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise BadSettings(f"{file} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadSettings(f"{file} is not TOML: {error}.") from error
    return settings_from(table, where=str(file))


def settings_from(table: dict[str, Any], *, where: str = "atoll.toml") -> Settings:
    """Check *table*, what a settings file holds, and return it as `Settings`.

    Raises `BadSettings`.
    """
    try:
        return TypeAdapter(Settings).validate_python(table)
    except ValidationError as error:
        lines = [f"  {explained(one, Settings)}" for one in error.errors()]
        message = f"{where} has {len(lines)} mistake{'s' * (len(lines) > 1)}:\n" + "\n".join(lines)
        raise BadSettings(message, hint=LEFT_OUT) from error
