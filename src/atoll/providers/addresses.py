"""Addresses: what may be fetched at all, so that a web form is no door into the operator's network.

Whoever runs this process (the command line) may fetch what git can. A stranger on the web may
fetch from public addresses over https and http, and from what the operator lists. For
them every name is looked up here and every address behind it is checked; each provider then
connects to the very addresses that were checked, so that a name which means something else a
moment later is of no use, and does the same with every redirect.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import os
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import httpx2

from atoll.errors import Refused, Unreachable
from atoll.sources.locators import DEFAULT_PORTS, FORGES, host_of

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HOPS = 5  # redirects; the forges need one at most
PATIENCE = 20.0  # seconds for a name look-up and the first answer of a server
NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Gate:
    """Decides what may be fetched. ``allow`` are the entries of the setting of that name."""

    trusted: bool
    allow: Sequence[str] = ()
    timeout: float = PATIENCE

    def check(self, locator: str) -> None:
        """Raise `Refused` where nothing but the text of *locator* is needed to know it."""
        if self.trusted:
            return
        if local := local_path(locator):
            if not self._allows_folder(local):
                raise Refused(
                    "Folders of this machine cannot be opened from the web.",
                    hint=_how_to_allow(os.path.dirname(local)),  # noqa: PTH120 - only text
                )
        elif scheme_of(locator) not in {"https", "http"} and not self.lists(locator):
            raise Refused(
                f"{scheme_of(locator)} addresses cannot be opened from the web.",
                hint=f"Use https://{host_of(locator)}/…. {_how_to_allow(_entry(locator))}",
            )
        else:
            self._check_host(locator)

    def _check_host(self, locator: str) -> None:
        """Raise `Refused` for an address inside the network that is written as such."""
        host, url = host_of(locator), urlsplit(locator)
        local = host == "localhost" or host.endswith(".localhost")
        number = network_of("127.0.0.1" if local else host)
        if number is None or self.lists(locator):
            return
        if not self._may_reach(number.network_address, url.port or DEFAULT_PORTS[url.scheme]):
            raise _inside(host, url.port)

    def lists(self, locator: str) -> bool:
        """Whether the operator lists the host of *locator* by name or by number."""
        port = urlsplit(locator).port if "://" in locator else None
        port = port or DEFAULT_PORTS.get(scheme_of(locator), 0)
        host = host_of(locator)
        if number := network_of(host):
            return self._may_reach(number.network_address, port) and not is_public(
                number.network_address
            )
        return any(entry_host == host and at in {0, port} for entry_host, at in self._hosts())

    def _hosts(self) -> list[tuple[str, int]]:
        """Return the entries that are hosts, each with its port, 0 for any."""
        hosts = []
        for entry in self.allow:
            if entry.startswith("/") or network_of(entry):
                continue
            host, colon, port = entry.rpartition(":")
            numbered = colon and port.isdigit()
            hosts.append(
                ((host if numbered else entry).strip("[]").lower(), int(port) if numbered else 0)
            )
        return hosts

    def _allows_folder(self, path: str) -> bool:
        real = os.path.realpath(path)
        folders = [os.path.realpath(entry) for entry in self.allow if entry.startswith("/")]
        return any(os.path.commonpath([real, folder]) == folder for folder in folders)

    async def addresses(self, url: str) -> list[Address]:
        """Return the addresses behind *url*'s host, all of which may be spoken to."""
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise no_host(host) from error
        addresses = [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]
        if not self.lists(url) and not all(self._may_reach(one, port) for one in addresses):
            raise _inside(host, port if port != DEFAULT_PORTS[parts.scheme] else None)
        return list(dict.fromkeys(addresses))

    def _may_reach(self, address: Address, port: int) -> bool:
        if is_public(address) or (str(address), port) in self._hosts():
            return True
        networks = [network_of(entry) for entry in self.allow]
        return any(net is not None and address in net for net in networks)


def _inside(host: str, port: int | None) -> Refused:
    return Refused(
        f"“{host}” is inside the operator's network, which is not open to the web.",
        hint=_how_to_allow(f"{host}:{port}" if port else host),
    )


def _entry(locator: str) -> str:
    """Return the entry of the setting that allows the host of *locator*."""
    port = urlsplit(locator).port if "://" in locator else None
    return f"{host_of(locator)}:{port}" if port else host_of(locator)


def _how_to_allow(entry: str) -> str:
    """Return what the operator can do: the very line for atoll.toml."""
    line = f'[sources] allow = ["{entry}"]'
    return f"The operator can allow it in atoll.toml ({line}) and start Atoll again."


def is_public(address: Address) -> bool:
    """Say whether *address*, and whatever is wrapped in it, belongs to the public Internet."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo or address.is_site_local:
            return False
    return address.is_global and not (
        address.is_reserved or address.is_multicast or address.is_unspecified
    )


def network_of(entry: str) -> Network | None:
    """Return the network that *entry* of the setting names (``10.1.0.0/16``, ``10.1.2.3``)."""
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None


def local_path(locator: str) -> str:
    """Return the folder that *locator* names on this machine, or ""."""
    if locator.startswith("file://"):
        return unquote(locator.removeprefix("file://"))
    return locator if locator.startswith("/") else ""


def scheme_of(locator: str) -> str:
    """Return the protocol of *locator*; ``user@host:path`` is ssh."""
    return locator.partition("://")[0] if "://" in locator else "ssh"


def is_forge(locator: str) -> bool:
    """Say whether *locator* is on one of the big forges."""
    return host_of(locator) in FORGES


def check_hop(old: str, new: str) -> None:
    """Raise `Refused` where *old* redirects to a *new* URL of another kind, or to a weaker one."""
    before, after = urlsplit(old), urlsplit(new)
    if after.scheme not in {"http", "https"} or (before.scheme, after.scheme) == ("https", "http"):
        raise Refused(f"{before.hostname} redirects to another protocol, {after.scheme[:20]}.")


def no_host(host: str) -> Unreachable:
    """Make the error for a name that no name server knows, or could be asked about."""
    return Unreachable(
        f"There is no host “{host}”, or this machine has no network.",
        hint="Check how the address is spelt, and whether this machine reaches other hosts.",
    )


@functools.cache
def authorities() -> ssl.SSLContext:
    """Whom we believe: the system's authorities, or those in ``$SSL_CERT_FILE``."""
    return httpx2.create_ssl_context()
