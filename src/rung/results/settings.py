"""Settings in a result file: those that a reader needs are typed, the others stay as they are."""

from pydantic import ConfigDict

from rung.results.base import Entry


class SettingsEntry(Entry):
    """Settings of which a reader needs a few; the others are for people."""

    model_config = ConfigDict(extra="allow")
