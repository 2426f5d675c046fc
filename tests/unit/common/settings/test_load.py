from __future__ import annotations

from pathlib import Path

import pytest

from streamkeep_common.errors import InvalidSettingError, UnknownSettingError
from streamkeep_common.settings import BROKER_SETTINGS, BrokerSettings, Origin, load
from streamkeep_proto.v1.settings_pb2 import FROM_ENVIRONMENT, FROM_FILE, FROM_FLAG


def settings_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "streamkeep.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_flag_wins_over_the_environment_over_the_file_over_the_default(tmp_path: Path) -> None:
    file = settings_file(
        tmp_path,
        '[broker]\nid = 1\nrack = "file"\nlisten = "file:1"\n'
        'data_dirs = ["/a", "/b"]\nmin_free_bytes = "1GiB"',
    )
    environment = {
        "STREAMKEEP_BROKER_RACK": "environment",
        "STREAMKEEP_BROKER_LISTEN": "environment:2",
        "HOME": "/",
    }
    texts, origins = load(
        BROKER_SETTINGS, file=file, environment=environment, flags={"listen": "flag:3", "rack": None}
    )
    settings = BrokerSettings.of(texts)
    assert (settings.listen, settings.rack, settings.id) == ("flag:3", "environment", 1)
    assert settings.data_dirs == (Path("/a"), Path("/b"))
    assert settings.min_free_bytes == 2**30
    assert settings.disk_stall_ms == 2_000
    assert origins == {
        "id": Origin(FROM_FILE, str(file)),
        "data_dirs": Origin(FROM_FILE, str(file)),
        "min_free_bytes": Origin(FROM_FILE, str(file)),
        "rack": Origin(FROM_ENVIRONMENT, "STREAMKEEP_BROKER_RACK"),
        "listen": Origin(FROM_FLAG, "--listen"),
    }


def test_nothing_given_is_nothing_set() -> None:
    assert load(BROKER_SETTINGS, environment={}, flags={}) == ({}, {})


def test_other_sections_and_scopes_are_left_alone(tmp_path: Path) -> None:
    file = settings_file(tmp_path, "[coordinator]\nid = 1\n[broker]\nid = 2\n")
    environment = {"STREAMKEEP_COORDINATOR_ID": "3", "STREAMKEEP_BOOTSTRAP": "x:1"}
    assert load(BROKER_SETTINGS, file=file, environment=environment, flags={}).texts == {"id": "2"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[broker]\nlissten = 'a:1'", "did you mean listen"),
        ("[broker]\nid = 'one'", "id cannot be 'one'"),
        ("[broker]\nid = 1.5", "id has to be a text, a whole number"),
        ("[broker]\nid = true", "id has to be a text, a whole number"),
        ("[broker.id]\nx = 1", "id has to be a text, a whole number"),
        ("broker = 5", r"broker has to be a section: \[broker\]"),
        ("[broker\n", "not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_named_with_the_file(tmp_path: Path, text: str, complaint: str) -> None:
    file = settings_file(tmp_path, text)
    with pytest.raises((InvalidSettingError, UnknownSettingError), match=f"{file}: .*{complaint}"):
        load(BROKER_SETTINGS, file=file, environment={}, flags={})


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettingError, match=r"cannot be read: No such file"):
        load(BROKER_SETTINGS, file=tmp_path / "none.toml", environment={}, flags={})
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidSettingError, match="not TOML"):
        load(BROKER_SETTINGS, file=tmp_path / "binary.toml", environment={}, flags={})


def test_a_mistake_in_the_environment_or_a_flag_names_its_source() -> None:
    with pytest.raises(UnknownSettingError, match=r"environment: .*'rak'; did you mean rack"):
        load(BROKER_SETTINGS, environment={"STREAMKEEP_BROKER_RAK": "a"}, flags={})
    with pytest.raises(InvalidSettingError, match=r"command line: .*id cannot be '0'"):
        load(BROKER_SETTINGS, environment={}, flags={"id": "0"})
