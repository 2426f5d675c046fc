"""The pages. Every line is a command as it is typed in a shell; a test parses each of them."""

from __future__ import annotations

from typing import NamedTuple


class Example(NamedTuple):
    """What is done, and how."""

    does: str
    command: str


class Page(NamedTuple):
    """Examples about one thing."""

    title: str
    examples: tuple[Example, ...]


def _page(title: str, *examples: tuple[str, str]) -> Page:
    return Page(title, tuple(Example(*each) for each in examples))


PAGES = {
    "start": _page(
        "A cluster on this machine",
        ("Start three coordinators and three brokers", "streamctl dev --detach"),
        ("See how they are", "streamctl dev status"),
        ("A topic, some records in, all records out", "streamctl topic create flights"),
        ("", "seq 100 | streamctl produce flights"),
        ("", "streamctl consume flights --exit-at-end"),
        ("End it; the data stay", "streamctl dev stop"),
    ),
    "topic": _page(
        "Topics",
        (
            "Twelve partitions, kept for a day",
            "streamctl topic create flights --partitions 12 --set retention_ms=1d",
        ),
        ("One like another", "streamctl topic create copy --like flights"),
        ("Which there are", "streamctl topic list"),
        ("Those whose names begin with test-", "streamctl topic list 'test-*' -o name"),
        ("Partitions, offsets, settings, again every second", "streamctl topic describe flights --watch=1"),
        ("What may be set", "streamctl config describe topic"),
        ("Change a setting; back to its default", "streamctl topic alter flights --set retention_ms=7d"),
        ("", "streamctl topic alter flights --unset retention_ms"),
        ("More partitions", "streamctl topic add-partitions flights 24"),
        ("What would be deleted, then delete it", "streamctl topic delete 'test-*' --dry-run"),
        ("", "streamctl topic delete 'test-*' --yes"),
    ),
    "produce": _page(
        "Writing records",
        ("Each line is a value", "seq 100000 | streamctl produce flights"),
        ("Key before a colon", "printf 'UA:517\\nAA:542\\n' | streamctl produce flights -K :"),
        (
            "A file, compressed, with a header",
            "streamctl produce flights --file lines.txt -z zstd -H source=file",
        ),
        (
            "Copy a topic: one of as many partitions that keeps records as long, then keys, headers, times",
            "streamctl topic create copy --like flights",
        ),
        ("", "streamctl consume -e -o json flights | streamctl produce --json copy"),
        (
            "Into a topic of fewer or more partitions: keys decide",
            "streamctl consume -e -o json flights | streamctl produce --json --repartition other",
        ),
    ),
    "consume": _page(
        "Reading records",
        ("All there is, and what comes", "streamctl consume flights"),
        ("All there is, then stop", "streamctl consume flights --exit-at-end"),
        ("From now on", "streamctl consume flights -O end"),
        ("Partition, offset, key and value", "streamctl consume flights -O -10 -e -f '%p %o %k %s\\n'"),
        ("The last hour, and what comes; of one partition", "streamctl consume flights --since 1h"),
        ("", "streamctl consume flights -p 0 -O @-1h:end"),
        ("As JSON, for jq", "streamctl consume flights -c 1 -o json | jq ."),
    ),
    "offset": _page(
        "Offsets, counts, deleting old records",
        ("Where partitions begin and end", "streamctl offset list flights"),
        ("Where yesterday begins", "streamctl offset list flights --at @-1d"),
        ("How many came in the last hour", "streamctl records count flights --from @-1h"),
        ("Delete what is older than a week", "streamctl records delete flights --before @-7d --dry-run"),
        ("", "streamctl records delete flights --before @-7d --yes"),
    ),
    "health": _page(
        "Is all well?",
        ("Exit code 10 if not", "streamctl cluster health"),
        ("Wait until it is, after a restart", "streamctl cluster health --wait --timeout 120"),
        ("Partitions that lack a leader or replicas", "streamctl partition list --ill"),
        ("Brokers, and what is on their disks", "streamctl broker list --watch"),
        ("", "streamctl broker log-dirs"),
        ("Coordinators, and how far each has come", "streamctl quorum status"),
        ("Are all replicas the same, byte by byte?", "streamctl partition verify flights"),
    ),
    "moves": _page(
        "Moving replicas, taking brokers out",
        ("What a move would copy", "streamctl partition reassign -p flights:0=1,2,3 --dry-run"),
        ("Move, and wait", "streamctl partition reassign -p flights:0=1,2,3 --wait"),
        (
            "A plan of kafka-reassign-partitions, slowly",
            "streamctl partition reassign --plan moves.json --throttle 10MiB",
        ),
        ("How far they are", "streamctl partition reassignments --watch"),
        ("Go back", "streamctl partition cancel flights:0"),
        ("Empty a broker; take one out for good", "streamctl broker drain 3 --dry-run"),
        ("", "streamctl broker decommission 3"),
        ("Leaders back to where they are preferred", "streamctl partition elect"),
    ),
    "quorum": _page(
        "Coordinators",
        ("Who is active", "streamctl quorum status --watch"),
        ("Let a new one in, take one out", "streamctl quorum add 4 host-4:7101"),
        ("", "streamctl quorum remove 1 --dry-run"),
        ("Make another one active", "streamctl quorum transfer 2"),
        ("After an upgrade of every process", "streamctl cluster upgrade --dry-run"),
    ),
    "context": _page(
        "Several clusters",
        ("Name them; a dangerous one is red and asks", "streamctl context add test localhost:7101 --use"),
        ("", "streamctl context add prod a:7101,b:7101,c:7101 --danger"),
        ("Speak to one; back to the one before", "streamctl context use prod"),
        ("", "streamctl context use -"),
        ("One command elsewhere", "streamctl topic list --context prod"),
        ("Which is it now, and why?", "streamctl context show"),
    ),
    "bench": _page(
        "How fast is it?",
        ("As many records in as go, ten seconds", "streamctl topic create speed"),
        ("", "streamctl bench produce speed --size 1000"),
        ("All of them out", "streamctl bench consume speed"),
        ("How long one record is on its way", "streamctl bench latency speed --rate 50"),
    ),
    "script": _page(
        "In scripts",
        (
            "JSON has everything, and its shape stays",
            "streamctl topic describe flights -o json | jq '.partitions[].isr'",
        ),
        ("One name a line", "streamctl partition list --ill -o name | wc -l"),
        (
            "Exit codes: 3 not found, 4 nobody answers",
            "streamctl topic describe flights > /dev/null || echo $?",
        ),
        ("Live completion", "source <(streamctl completion bash)"),
        ("What went wrong inside", "streamctl topic list --debug"),
    ),
    "files": _page(
        "Files of a broker or coordinator",
        ("Check every checksum", "streamctl log verify log-dir"),
        ("The records of a segment", "streamctl log dump segment.log --records"),
        ("What a coordinator stored", "streamctl coordinator log dump log-dir"),
    ),
}
