from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from streamkeep_common.server import logs


@pytest.fixture(autouse=True)
def _restore_the_root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_an_event_is_one_line_of_json_that_begins_with_when_what_and_where() -> None:
    out = io.StringIO()
    logs.configure(stream=out)
    values = {"topic": "flights", "size_bytes": 1 << 30}
    logging.getLogger("streamkeep.log").info("segment rolled", extra=values)
    [event] = lines(out)
    assert list(event) == ["timestamp", "level", "logger", "event", "topic", "size_bytes"]
    assert str(event.pop("timestamp")).endswith("Z")
    assert event == {
        "level": "info",
        "logger": "streamkeep.log",
        "event": "segment rolled",
        "topic": "flights",
        "size_bytes": 1 << 30,
    }


def test_events_of_libraries_have_the_same_form() -> None:
    out = io.StringIO()
    logs.configure(stream=out)
    logging.getLogger("asyncio").warning("took %s", "long", extra={"task": "Task-1"})
    [event] = lines(out)
    assert (event["logger"], event["event"], event["task"]) == ("asyncio", "took long", "Task-1")


def test_an_exception_is_in_the_line_and_not_behind_it() -> None:
    out = io.StringIO()
    logs.configure(stream=out)
    try:
        raise LookupError("no such thing")
    except LookupError:
        logging.getLogger("a").exception("failed")
    [event] = lines(out)
    assert "LookupError: no such thing" in str(event["exception"])


def test_values_that_json_does_not_know_are_written_as_text() -> None:
    out = io.StringIO()
    logs.configure(stream=out)
    logging.getLogger("a").info("event", extra={"value": object, "path": b"bytes"})
    assert "bytes" in str(lines(out)[0]["path"])


def test_what_is_below_the_level_is_not_written() -> None:
    out = io.StringIO()
    logs.configure(level="warning", stream=out)
    logging.getLogger("a").info("quiet")
    logging.getLogger("a").warning("loud")
    assert [event["event"] for event in lines(out)] == ["loud"]


def test_people_get_text_without_colours_when_it_is_no_terminal() -> None:
    out = io.StringIO()
    logs.configure(log_format=logs.LogFormat.CONSOLE, stream=out)
    logging.getLogger("a").info("segment rolled", extra={"topic": "flights"})
    assert "segment rolled" in out.getvalue()
    assert "topic=flights" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_rich_is_never_loaded() -> None:
    program = (
        "import logging, sys; from streamkeep_common.server import logs, metrics, process; "
        "logs.configure(log_format=logs.LogFormat.CONSOLE); "
        "logging.getLogger('a').warning('event'); print('rich' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "False\n"
