"""The description of the service's addresses, and what comes of asking for them at random."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from atoll.access import DOORS, By
from atoll.web.description import ANSWERED, SENT, described
from support.browsing import PREFIX
from support.one_host import joined, serving
from support.walking import TakingSource
from support.web_service import REPO, Service, make_service

EXAMPLES = 4  # of each address, of what is as described and of what is not


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


async def test_every_address_is_described_with_what_it_is_for(service):
    document = described(service.app.routes)
    known = dict(operations(document))
    assert len(known) == len([row for row in DOORS if "static" not in row])
    for name, operation in known.items():
        assert len(operation["summary"]) > 5, name
        assert operation["description"], name


def test_all_that_is_written_down_is_about_an_address_that_there_is():
    assert set(SENT) | set(ANSWERED) <= set(DOORS)
    bodies = {
        row for row, known in DOORS.items() if row.startswith("POST") and known.by is By.TOKEN
    }
    assert bodies <= set(SENT)


SETTINGS = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """The service behind a real server; its description; and how ada asks it, who has a server."""
    folder = tmp_path_factory.mktemp("openapi")
    source = TakingSource(folder / "checkouts", {REPO: {"requirements.txt": b"six==1.16.0\n"}})
    service = make_service(folder, real=source, access={"launches": 1000})
    web = service.app
    web.state.listeners.linger = 0.0
    with serving(joined(service, web)) as address, httpx2.Client(base_url=address) as http:
        page = http.get(f"{PREFIX}sign-in", follow_redirects=True)
        token = re.search(r'name="form_token" value="([^"]*)"', page.text)[1]
        sent = {"form_token": token, "repository": REPO}
        launched = http.post(f"{PREFIX}launches", data=sent)
        launch = launched.headers["location"].rpartition("/")[2].partition("#")[0]
        http.get(f"{PREFIX}launches/{launch}/events")
        yield Asked(address, service, dict(http.cookies), token, launch)


@dataclass
class Asked:
    address: str
    service: Service
    cookies: dict[str, str]
    form_token: str
    launch: str
    served: set[str] = field(default_factory=set)

    def call(self, case, known: bool):
        """Send *case* as ada does; about what there is, if that is to be *known*."""
        if known:
            mine = {"launch": self.launch, "server": "engine"}
            here = {name: mine.get(name, value) for name, value in case.path_parameters.items()}
            case.path_parameters = here
        if isinstance(case.body, dict) and "urlencoded" in (case.media_type or ""):
            case.body = {**case.body, "form_token": self.form_token}
        token = self.service.hub.token_of("ada", "access:services!service=atoll", "read:metrics")
        headers = {"Authorization": f"Bearer {token}", "X-Form-Token": self.form_token}
        if "/build" in case.path or case.path.endswith("events"):
            headers["Accept"] = "text/event-stream"
        answer = case.call(
            base_url=self.address,
            headers=headers,
            cookies=self.cookies,
            allow_redirects=False,
            timeout=20,
        )
        if answer.status_code < 400:
            self.served.add(case.operation.label)
        return answer


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_whatever_is_asked_for_is_answered_as_described_and_breaks_nothing(asked, mode, caplog):
    schema = schemathesis.openapi.from_dict(described(asked.service.app.routes))
    wrong = []
    for found in schema.get_all_operations():
        operation = found.ok()

        @SETTINGS
        @given(case=operation.as_strategy(generation_mode=mode), known=st.booleans())
        def ask(case, known):
            case.validate_response(asked.call(case, known), checks=CHECKS)

        try:
            ask()
        except (FailureGroup, Failure) as error:
            wrong.append(str(error) + "".join(map(str, getattr(error, "exceptions", ()))))
        except Unsatisfiable:  # nothing can be sent that would be wrong
            continue
    assert wrong == []
    assert len(asked.served) > len(DOORS) / 2, (
        asked.served
    )  # not everything was refused at the door
    assert "broke" not in caplog.text
