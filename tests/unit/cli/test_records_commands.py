"""What `produce` and `consume` say of their options before they speak to any cluster."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from streamctl.failures import ExitCode
from streamctl.main import cli


@pytest.mark.parametrize("command", ["produce", "consume"])
def test_help_fits_into_40_columns_but_for_its_examples(command: str) -> None:
    result = CliRunner().invoke(cli, [command, "--help"], env={"COLUMNS": "40"})
    assert result.exit_code == 0
    wide = [line for line in result.stdout.splitlines() if len(line) > 40]
    assert all("streamctl" in line for line in wide), wide


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["produce"], "TOPIC is missing; only with --json can each line name its own"),
        (["produce", "t", "--json", "-K", ":"], "with --json the fields of a line are its key and value"),
        (["produce", "t", "--json", "--framing", "length"], "with --json the fields of a line"),
        (["produce", "t", "--framing", "length", "-K", ":"], "-K cuts lines"),
        (["produce", "t", "--framing", "length", "--skip-bad-lines"], "--skip-bad-lines needs lines"),
        (["produce", "t", "--repartition"], "--repartition goes with --json"),
        (["produce", "t", "--json", "--repartition", "-p", "1"], "-p and --repartition both say"),
        (["consume", "t", "-o", "json", "-f", "%s"], "-o json and -f both say how records look"),
        (["consume", "t", "--framing", "length", "-f", "%s"], "-f and --framing both say how records look"),
        (["consume", "t", "-O", "1:2", "--until", "3"], "so does --until"),
        (["consume", "t", "--until", "soon"], "'soon' is not an offset"),
        (["consume", "t", "--since", "1h", "-O", "5"], "--offset and --since both say where to start"),
        (["consume", "t", "--since", "1h", "--from-beginning"], "--from-beginning and --since both say"),
        (["consume", "t", "--since", "soon"], "'@soon' is not a time"),
        (["consume", "t", "--since", "1h", "--until", "2h"], "ends before it starts"),
        (["consume", "t", "--null", "-", "-o", "json"], "--null goes with lines"),
        (["consume", "t", "--grep", "("], "'(' is not a regular expression"),
        (["consume", "-r", "("], "'(' is not a regular expression"),
        (["consume"], "Missing argument 'TOPIC...'"),
        (["consume", "t", "-o", "name"], "name"),
    ],
)
def test_options_that_contradict_each_other_are_refused_with_a_sentence(
    arguments: list[str], complaint: str
) -> None:
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == ExitCode.USAGE and complaint in " ".join(result.stderr.split())
