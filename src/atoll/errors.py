"""Everything that can go wrong on purpose.

* AtollError
  x BadRequest          what was asked makes no sense
    x BadReference      the text is not a repository reference
    x BadSettings       atoll.toml has mistakes
  x Refused             it makes sense, and is not allowed here
  x NotFound            the repository, version, plan or server is not there
  x TooLarge            a repository or file is over a limit
  x Unreachable         a remote server did not answer, or not in time
    x ChannelsUnreachable none of the conda channels did
  x BadSpecification    the files that say what to build are contradictory or unreadable
    x CannotBuildYet    they are clear, but no builder here knows how
  x BuildFailed         a builder ran and did not produce an environment
  x Cancelled           somebody stopped it, or nobody waited any more
  x StartFailed         an engine could not bring the server up
  x Changed             somebody else has changed it since one looked
  x Busy                a limit on how much may run at once is reached
  x Lacking             this machine lacks something that is needed

A class fixes how every way in reports it: ``status`` on the web, ``exit_code`` in
the terminal. The message says what happened; ``hint`` says what to try next.
"""

from __future__ import annotations


class AtollError(Exception):
    """Base of every error we raise deliberately; anything else is a bug."""

    status = 500
    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", log: str = "") -> None:
        """Say what happened, what to try, and which kept log (a build's key, say) tells more."""
        super().__init__(message)
        self.hint = hint
        self.log = log


class BadRequest(AtollError):
    """What was asked makes no sense."""

    status = 400
    exit_code = 2


class BadReference(BadRequest):
    """The text is not a reference to a repository."""


class BadSettings(BadRequest):
    """The settings have mistakes; the message lists all of them."""


class Refused(AtollError):
    """It makes sense, and is not allowed here."""

    status = 403
    exit_code = 3


class NotFound(AtollError):
    """What was asked for is not there (or not there for this person)."""

    status = 404
    exit_code = 4


class TooLarge(AtollError):
    """A repository or a file is over a limit."""

    status = 413
    exit_code = 5


class Unreachable(AtollError):
    """A remote server did not answer, or not in time, or not sensibly."""

    status = 502
    exit_code = 6


class ChannelsUnreachable(Unreachable):
    """None of the conda channels that a specification names answers."""


class BadSpecification(AtollError):
    """The files that say what to build are contradictory or unreadable."""

    status = 422
    exit_code = 7


class CannotBuildYet(BadSpecification):
    """The files are clear, but no builder here knows how to follow them."""


class BuildFailed(AtollError):
    """A builder ran and did not produce an environment."""

    status = 422
    exit_code = 8


class Cancelled(AtollError):
    """Somebody stopped it, or nobody waited for it any more."""

    status = 409
    exit_code = 9


class Changed(AtollError):
    """Somebody else has changed it since whoever asks has looked."""

    status = 409
    exit_code = 13


class StartFailed(AtollError):
    """An engine could not bring the server up."""

    status = 503
    exit_code = 10


class Busy(AtollError):
    """A limit on how much may run at once is reached."""

    status = 429
    exit_code = 11


class Lacking(AtollError):
    """The machine lacks something that is needed; ``atoll doctor`` says more."""

    status = 503
    exit_code = 12
