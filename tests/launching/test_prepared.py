from __future__ import annotations

import pytest

from atoll.errors import BadSettings
from atoll.launching.prepared import check
from atoll.settings import settings_from


def test_all_that_is_offered_and_cannot_be_launched_is_said_at_once():
    settings = settings_from(
        {
            "pages": {
                "prepared": [
                    {"title": "Good", "launch": "gh:ada/engine@v1"},
                    {"title": "Bad", "launch": "githbu:ada/engine"},
                    {
                        "title": "Large",
                        "launch": "https://hub.example.org/v2/gh/ada/engine/v1?memory=900G",
                    },
                ]
            }
        }
    )
    with pytest.raises(BadSettings) as caught:
        check(settings.pages.prepared, settings.servers)
    said = str(caught.value)
    assert "Good" not in said
    assert "“Bad”" in said
    assert "“Large”: A server may have at most 16G" in said


def test_a_misspelt_word_of_what_is_prepared_is_explained():
    with pytest.raises(BadSettings, match=r"pages\.prepared\.0\.titel.*did you mean “title”"):
        settings_from({"pages": {"prepared": [{"titel": "x", "title": "x", "launch": "y"}]}})


def test_a_link_that_is_no_address_is_refused():
    with pytest.raises(BadSettings, match="is no address"):
        settings_from({"pages": {"links": {"Click": "javascript:alert(1)"}}})
