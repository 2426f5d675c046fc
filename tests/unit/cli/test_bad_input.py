"""What people and scripts give by mistake: each is told in a sentence, at once, with its exit code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streamctl.failures import ExitCode
from streamctl.main import cli

NOT_UTF8 = os.fsdecode(b"caf\xe9")


def told(*arguments: str, env: dict[str, str] | None = None) -> Result:
    result = CliRunner().invoke(cli, arguments, env=env)
    assert result.exit_code == ExitCode.USAGE and not result.stdout
    return result


@pytest.mark.parametrize(
    "arguments",
    [
        ("topic", "create", NOT_UTF8),
        ("topic", "create", "t", "--set", f"retention_ms={NOT_UTF8}"),
        ("topic", "describe", NOT_UTF8),
        ("topic", "list", "--context", NOT_UTF8),
        ("topic", "list", "--bootstrap", NOT_UTF8),
        ("consume", NOT_UTF8),
        ("consume", "t", "--format", NOT_UTF8),
        ("consume", "t", "--offset", NOT_UTF8),
        ("consume", "t", "--rack", NOT_UTF8),
        ("produce", NOT_UTF8),
        ("produce", "t", "--header", f"{NOT_UTF8}=1"),
        ("context", "add", NOT_UTF8, "localhost:7101"),
        ("bench", "produce", NOT_UTF8),
        ("records", "count", NOT_UTF8),
    ],
)
def test_what_must_be_text_and_is_not_utf8_is_a_usage_error_that_shows_it(arguments: Sequence[str]) -> None:
    assert r"caf\xe9' is not UTF-8" in told(*arguments).stderr


def test_a_bootstrap_list_of_the_environment_must_be_text_too() -> None:
    variables = {"STREAMKEEP_BOOTSTRAP": f"{NOT_UTF8}:7101"}
    assert "host:port" in told("topic", "list", env=variables).stderr


@pytest.mark.parametrize("where", ["@9999999999999999999", f"@-{'9' * 5_000}s", f"@{'9' * 5_000}"])
def test_a_time_that_no_record_can_have_is_a_usage_error(where: str) -> None:
    assert "Invalid value for --offset" in told("consume", "t", "-O", where).stderr


def test_more_headers_than_a_record_can_have_are_a_usage_error() -> None:
    headers = [f"-Hh{number}=" for number in range(1_025)]
    assert "at most 1024 headers, not 1025" in told("produce", "t", *headers).stderr


def test_a_data_directory_must_be_text_wherever_its_name_is_from(tmp_path: Path) -> None:
    for arguments, env in (
        (("dev", "--data-dir", str(tmp_path / NOT_UTF8)), None),
        (("dev", "--detach"), {"XDG_DATA_HOME": str(tmp_path / NOT_UTF8)}),
    ):
        assert r"caf\xe9" in told(*arguments, env=env).stderr
    assert list(tmp_path.iterdir()) == []
