"""Settings told to those who ask: the value, where it comes from, and what may be set at all."""

from __future__ import annotations

from typing import NamedTuple

from streamkeep_common.settings.table import Setting
from streamkeep_proto.v1.settings_pb2 import FROM_DEFAULT, DescribedSetting, SettingSource


class Origin(NamedTuple):
    """Who gave a value, and by which file, environment variable or flag."""

    source: SettingSource.ValueType
    name: str = ""


DEFAULT = Origin(FROM_DEFAULT)


def described(setting: Setting, value: str, origin: Origin, *, read_only: bool) -> DescribedSetting:
    """The setting with its value, as canonical text, which is left out if it is secret."""
    return DescribedSetting(
        name=setting.name,
        value="" if setting.is_secret else value,
        source=origin.source,
        origin=origin.name,
        default_value=None if setting.is_secret else setting.default,
        type=setting.type.description,
        documentation=setting.doc,
        read_only=read_only,
        secret=setting.is_secret,
    )
