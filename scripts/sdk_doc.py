"""Write docs/sdk.md from the docstrings of the SDK, or check that it is fresh.

`python scripts/sdk_doc.py` writes it; with `--check` the exit status is 1 if it differs.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from textwrap import indent
from types import FunctionType
from typing import Any

from documents import ROOT, keep

import streamkeep
import streamkeep.blocking
from streamkeep import errors, serializers
from streamkeep.admin.outcomes import Answers, Outcomes
from streamkeep.serializers.protobuf import ProtobufSerializer
from streamkeep.serializers.pydantic import PydanticSerializer

DOCUMENT = ROOT / "docs" / "sdk.md"
WIDTH = 90

INTRODUCTION = """\
# The SDK

Written by `scripts/sdk_doc.py` from the docstrings, which `help(Producer)` shows too; do not edit. Worked
examples are in [tutorial.md](tutorial.md) and [from-python-clients.md](from-python-clients.md), the test kit
is in [testing.md](testing.md).

`streamkeep` is for asyncio; [`streamkeep.blocking`](#without-asyncio) has the same names and arguments for
programs with threads. Times are in ms, sizes in bytes, as the ends of names say. `network`, `clock` and
`rng`, which all take too, are for tests. What begins with an underscore, and modules that are not named
here, may change in any version.

**Types by name**: `K` and `V` are the types of keys and values, bytes where no serializer is given. `Start`
is "earliest", "latest", an offset or `AtTime`; `OffsetQuestion` is "earliest", "latest", "max_timestamp" or
`AtTime`. `Headers` are pairs of str and bytes, `HeadersArgument` the same or a mapping. `AnyTopicPartition`
is a `TopicPartition` or a plain tuple. `SettingsArgument` are settings by name, as text, whole numbers or
flags; [settings.md](settings.md) has them all. What else has no section here (`TopicOutcome`,
`ListedOffset`) is a message of `streamkeep_proto.v1`, with every field commented in `protos/`.
"""

PARTS: dict[str, list[str]] = {
    "Writing": [
        *("Producer", "ProducerRecord", "Delivery", "Deliveries", "RecordMetadata"),
        *("ProducerInterceptor", "ProducerMetrics"),
    ],
    "Reading": [
        *("Consumer", "TopicPartition", "AtTime", "Record", "ConsumedBatch"),
        *("ConsumerInterceptor", "ConsumerMetrics"),
    ],
    "Administration": ["Admin"],
    "One client for several": ["Client"],
}

ABOUT_ERRORS = """\
`retriable` says that the same request, unchanged, may succeed later. Producers and consumers try those again
by themselves, until the time that they were given is over. Where no place is named the error comes from a
server, as the outcome of a record, a partition or an administrator's item.
"""

NOT_CALLED = {
    *("Delivery", "Deliveries", "Record", "ConsumedBatch", "ProducerMetrics", "ConsumerMetrics"),
    *("Answers", "Outcomes", "ProducerInterceptor", "ConsumerInterceptor", "Serializer"),
}
"""Users are given these, or make subclasses of them."""

TWINS = ["Producer", "Delivery", "Deliveries", "Consumer", "Client"]

UNTOLD = {"self", "network", "clock", "rng"}


def document() -> str:
    parts = [INTRODUCTION]
    for title, names in PARTS.items():
        parts += [f"## {title}\n", *(_section(getattr(streamkeep, name)) for name in names)]
        if title == "Administration":
            parts += [_section(Outcomes), _section(Answers)]
    return "\n".join([*parts, *_serializers(), *_errors(), *_blocking()])


# --- classes as stubs ---


def _section(cls: type) -> str:
    return f"### {cls.__name__}\n\n```python\n{_stub(cls, _members(cls))}\n```\n"


def _stub(cls: type, members: list[tuple[str, Any]]) -> str:
    """The class as its source would be without what its methods do."""
    made = "\n".join(_fields(cls)) if cls.__name__ in NOT_CALLED else f"def {_call('__init__', cls)}: ..."
    inside = [_docstring(cls), made, *(_method(name, member) for name, member in members)]
    return f"class {cls.__name__}:\n" + indent("\n\n".join(filter(None, inside)), "    ")


def _members(cls: type) -> list[tuple[str, Any]]:
    """What users call, the class's own first."""
    found: dict[str, Any] = {}
    for each in cls.__mro__:
        if each.__module__.startswith("streamkeep"):
            for name, member in vars(each).items():
                if not name.startswith("_") and isinstance(member, FunctionType | property):
                    found.setdefault(name, member)
    return list(found.items())


def _fields(cls: type) -> list[str]:
    """What its instances have that is neither method nor property."""
    types = {**inspect.get_annotations(cls.__init__), **inspect.get_annotations(cls)}
    listed = getattr(cls, "__dataclass_fields__", None) or vars(cls).get("__slots__", ())
    return [f"{name}: {_type(types[name])}" for name in listed if not name.startswith("_")]


def _method(name: str, member: Any) -> str:
    function = member.fget if isinstance(member, property) else member
    is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    before = "@property\n" if function is not member else "async " if is_async else ""
    told = _docstring(member)
    return f"{before}def {_call(name, function)}:" + ("\n" + indent(told, "    ") if told else " ...")


def _call(name: str, function: Callable[..., Any]) -> str:
    """Name, parameters and what is returned, on one line if that is not too long."""
    signature = inspect.signature(function)
    parameters = ["self"]
    starred = False
    for each in signature.parameters.values():
        if each.kind is each.KEYWORD_ONLY and not starred:
            parameters.append("*")
        starred = starred or each.kind in (each.KEYWORD_ONLY, each.VAR_POSITIONAL)
        if each.name not in UNTOLD:
            parameters.append(_parameter(each))
    if parameters[-1:] == ["*"]:
        parameters.pop()
    returned = signature.return_annotation
    end = "" if isinstance(function, type) or returned is signature.empty else f" -> {_type(returned)}"
    line = f"{name}({', '.join(parameters)}){end}"
    if len(line) <= WIDTH:
        return line
    return f"{name}(\n" + indent(",\n".join([*parameters, ""]), "    ") + f"){end}"


def _parameter(parameter: inspect.Parameter) -> str:
    star = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
    text = f"{star}{parameter.name}"
    if parameter.annotation is not parameter.empty:
        text += f": {_type(parameter.annotation)}"
    if parameter.default is parameter.empty:
        return text
    return f"{text} = {'BYTES' if parameter.default is serializers.BYTES else repr(parameter.default)}"


def _type(annotation: Any) -> str:
    return str(getattr(annotation, "__forward_arg__", annotation))


def _docstring(documented: Any) -> str:
    text = inspect.getdoc(documented) if documented.__doc__ else ""
    if not text:
        return ""
    return f'"""{text}\n"""' if "\n" in text else f'"""{text}"""'


# --- serializers, errors, threads ---


def _serializers() -> Iterator[str]:
    yield f"## Serializers\n\n```text\n{inspect.getdoc(serializers)}\n```\n"
    yield _section(serializers.Serializer)
    yield "| | |\n|---|---|"
    for name in serializers.__all__:
        if name.isupper():
            yield f"| `{name}` | {_first_line(type(getattr(serializers, name)))} |"
    for cls in (ProtobufSerializer, PydanticSerializer):
        yield f"| `{cls.__module__}.{cls.__name__}` | {_first_line(cls)} |"
    yield ""


def _errors() -> Iterator[str]:
    yield f"## Errors\n\n{inspect.getdoc(errors)} All are in `streamkeep.errors`.\n"
    yield f"```python\n{_stub(errors.StreamkeepError, [])}\n```\n"
    yield ABOUT_ERRORS
    yield "| error | retriable | what to do | named by |\n|---|---|---|---|"
    places = dict(_places())
    for name in errors.__all__:
        kind = getattr(errors, name)
        if kind is not errors.StreamkeepError:
            told_by = [place for place, text in places.items() if re.search(rf"\b{name}\b", text)]
            yield f"| `{name}` | {'yes' if kind.retriable else ''} | {kind.advice} | {_listed(told_by)} |"
    yield ""


def _places() -> Iterator[tuple[str, str]]:
    """Where errors may be named, with what is said there."""
    for name in (name for names in PARTS.values() for name in names):
        cls = getattr(streamkeep, name)
        yield f"`{name}`", cls.__doc__ or ""
        for method, member in _members(cls):
            yield f"`{name}.{method}`", member.__doc__ or ""


def _listed(places: list[str]) -> str:
    few = 4
    return ", ".join(places[:few]) + (", ..." if len(places) > few else "")


def _blocking() -> Iterator[str]:
    yield f"## Without asyncio\n\n```text\n{inspect.getdoc(streamkeep.blocking)}\n```\n"
    yield "What differs is below; all else is as above, without `async` and `await`.\n"
    for name in TWINS:
        ours, theirs = getattr(streamkeep.blocking, name), dict(_members(getattr(streamkeep, name)))
        different = [
            (method, member)
            for method, member in _members(ours)
            if _words(member) != _words(theirs.get(method))
        ]
        yield f"### blocking.{name}\n\n```python\n{_stub(ours, different)}\n```\n"


def _words(documented: Any) -> list[str]:
    return (getattr(documented, "__doc__", "") or "").split()


def _first_line(documented: Any) -> str:
    return (inspect.getdoc(documented) or "").partition("\n")[0].replace("*", r"\*")


def main() -> int:
    return keep(DOCUMENT, document(), description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
