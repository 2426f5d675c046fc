"""Where development clusters are remembered: a file and a lock in each data directory, and a list of them.

The list lets `dev status` and `dev stop` find a cluster without being told its directory. It only points:
what is true stands in the data directory.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from streamctl.dev.cluster_file import CLUSTER_FILE, ClusterFileError, ProcessRecord, decode, encode
from streamctl.dev.plan import COORDINATOR
from streamctl.failures import CommandError
from streamctl.xdg import base_directory

LOCK_FILE = "dev.lock"
PORTS_FILE = "ports.json"


def default_data_dir() -> Path:
    """$XDG_DATA_HOME/streamkeep/dev, by default under ~/.local/share."""
    return base_directory("XDG_DATA_HOME", ".local/share") / "streamkeep" / "dev"


class ClusterStore:
    """The memory of the cluster in one data directory."""

    def __init__(self, data_dir: Path, *, listed: bool = True) -> None:
        self.data_dir = data_dir
        self._file = data_dir / CLUSTER_FILE
        self._pointer = _list_directory() / hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
        self._listed = listed

    def read(self) -> list[ProcessRecord]:
        """The processes of the last run; none if it was stopped. Raises CommandError if unreadable."""
        try:
            return decode(self._file.read_text())
        except FileNotFoundError:
            return []
        except (ClusterFileError, UnicodeDecodeError) as error:
            raise CommandError(
                f"{self._file} is not a file of this version ({error}): end the cluster's processes if any"
                " still run, then remove that file"
            ) from error

    def write(self, records: Sequence[ProcessRecord]) -> None:
        """Remember these, as one step."""
        _write_at_once(self._file, encode(records))
        if self._listed:
            self._pointer.parent.mkdir(parents=True, exist_ok=True)
            _write_text(self._pointer, str(self.data_dir))

    def replace(self, record: ProcessRecord) -> None:
        """Remember this in the place of the process of the same name."""
        self.write([record if known.name == record.name else known for known in self.read()])

    def read_ports(self) -> dict[str, int]:
        """The ports of the last start, by the names of the processes. They outlive the processes."""
        try:
            ports = json.loads((self.data_dir / PORTS_FILE).read_text())
        except FileNotFoundError:
            return {}
        except ValueError:
            ports = None
        if not isinstance(ports, dict) or not all(isinstance(port, int) for port in ports.values()):
            raise CommandError(
                f"{self.data_dir / PORTS_FILE} is damaged: write the processes' ports into it again, as in"
                ' {"coordinator 1": 7101}, or remove it if they are the default ones'
            )
        return ports

    def write_ports(self, ports: Mapping[str, int]) -> None:
        """Remember these, and those of processes that are not among them."""
        _write_at_once(
            self.data_dir / PORTS_FILE, json.dumps({**self.read_ports(), **ports}, indent=2) + "\n"
        )

    def coordinators(self) -> list[int]:
        """Ids of the coordinators that have data here."""
        names = (path.name.partition("-")[2] for path in self.data_dir.glob(f"{COORDINATOR}-*"))
        return sorted(int(name) for name in names if name.isdecimal())

    def forget(self) -> None:
        """The processes have ended."""
        self._file.unlink(missing_ok=True)
        self._pointer.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other start and stop in this directory away. Raises CommandError if one is at work."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with (self.data_dir / LOCK_FILE).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise CommandError(
                    f"another `streamctl dev` is starting or stopping a cluster in {self.data_dir}:"
                    " wait for it, or use another --data-dir"
                ) from None
            yield


def _write_at_once(path: Path, text: str) -> None:
    aside = path.with_suffix(".new")
    _write_text(aside, text)
    aside.replace(path)


def _write_text(path: Path, text: str) -> None:
    """As Path.write_text, which does not say of a full disk where it is."""
    try:
        path.write_text(text)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _list_directory() -> Path:
    return base_directory("XDG_STATE_HOME", ".local/state") / "streamkeep" / "dev-clusters"


def known_data_dirs() -> list[Path]:
    """Data directories whose cluster was started and not stopped."""
    try:
        pointers = sorted(_list_directory().iterdir())
    except FileNotFoundError:
        return []
    return [path for path in map(_target, pointers) if path is not None]


def _target(pointer: Path) -> Path | None:
    """The data directory that a pointer names, if a cluster is still remembered there."""
    try:
        path = Path(pointer.read_text())
    except FileNotFoundError:  # its cluster was just ended
        return None
    return path if (path / CLUSTER_FILE).exists() else None
