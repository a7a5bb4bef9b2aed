"""The shipped pipelines: every log source of the corpus is served, or said not to be."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from collectors.frame import Frame, Source
from collectors.normalise import Normaliser
from collectors.packets.reading import DATASETS, read_capture
from collectors.parsing import KIND, parser
from detectors.sigma.load import load
from detectors.sigma.pipeline import Pipelines
from detectors.sigma.reference import Reference
from detectors.sigma.rule import LogSource
from soc.model.ecs import lookup
from soc.model.event import Event
from soc.registry import plugins
from tests.collectors.packets.build import Talk, pcap, request, response
from tests.data import ROOT, archive

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
DOCS = ROOT / "docs" / "sources.md"
START, END = "<!-- served: made by the test -->\n", "<!-- end of served -->\n"


@cache
def pipelines() -> Pipelines:
    return Pipelines.load([ROOT / "rules" / "pipelines"])


@cache
def corpus() -> Counter[LogSource]:
    """The log sources of the corpus without `definition`, and how many rules they have."""
    return Counter(
        LogSource(rule.logsource.product, rule.logsource.category, rule.logsource.service)
        for rule in load([archive("sigmahq-rules")]).rules
    )


def shown(logsource: LogSource) -> str:
    parts = (logsource.product, logsource.category, logsource.service)
    keys = ("product", "category", "service")
    return ", ".join(f"{k}: {v}" for k, v in zip(keys, parts, strict=True) if v)


def not_served() -> set[str]:
    """What docs/sources.md says is not served yet."""
    text = DOCS.read_text("utf-8").partition("## Not served yet")[2]
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    return {row[1].strip().strip("`") for row in rows}


@pytest.mark.slow
def test_every_log_source_of_the_corpus_is_served_or_said_not_to_be() -> None:
    unserved = {shown(source) for source in corpus() if pipelines().route(source) is None}
    assert unserved == not_served()


def test_most_rules_of_windows_linux_web_and_dns_see_events() -> None:
    wanted = [
        (source, rules)
        for source, rules in corpus().items()
        if source.product in ("windows", "linux") or source.category in ("webserver", "dns")
    ]
    served = sum(rules for source, rules in wanted if pipelines().route(source))
    assert served / sum(rules for _, rules in wanted) > 0.97


def test_every_field_that_a_pipeline_names_is_a_field_of_our_events() -> None:
    for entry in pipelines().sources:
        names = {name for names in entry.fields.values() for name in names}
        names |= {name for test in entry.events for name, _ in test.wanted}
        names |= {entry.prefix + "x"} if entry.prefix else set()
        unknown = sorted(name for name in names if lookup(name) is None)
        assert unknown == [], entry.where


def entries() -> list[tuple[str, dict[str, Any]]]:
    """The entries of the pipeline files as they are written, with the file's name."""
    return [
        (path.name, entry)
        for path in sorted((ROOT / "rules" / "pipelines").glob("*.yml"))
        for entry in yaml.safe_load(path.read_text("utf-8"))["logsources"]
    ]


def listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def test_every_dataset_that_a_pipeline_names_is_one_of_a_parser() -> None:
    datasets = {parser(name).dataset for name in plugins(KIND)} | set(DATASETS)
    named = {
        d for _, e in entries() for t in e["events"] for d in listed(t.get("event.dataset", []))
    }
    assert named <= datasets


def test_event_codes_are_text_in_every_pipeline() -> None:
    values = [v for _, e in entries() for t in e["events"] for x in t.values() for v in listed(x)]
    assert [value for value in values if not isinstance(value, str)] == []


def served_table() -> str:
    rows: dict[tuple[str, str], list[str]] = {}
    for file, entry in entries():
        source = ", ".join(f"{key}: {value}" for key, value in entry["logsource"].items())
        events = [
            ", ".join(f"{name} `{'`, `'.join(listed(value))}`" for name, value in test.items())
            for test in entry["events"]
        ]
        rows.setdefault((source, file), []).extend(events)
    lines = ["| Sigma log source | events | pipeline |", "|---|---|---|"]
    for (source, file), events in sorted(rows.items()):
        lines.append(f"| `{source}` | {'; or '.join(dict.fromkeys(events))} | {file} |")
    return "\n".join(lines) + "\n"


def test_the_page_about_sources_lists_what_the_pipelines_serve(
    request: pytest.FixtureRequest,
) -> None:
    text = DOCS.read_text("utf-8")
    before, _, rest = text.partition(START)
    _, end, after = rest.partition(END)
    expected = f"{before}{START}\n{served_table()}\n{end}{after}"
    if request.config.getoption("--golden-update"):
        DOCS.write_text(expected, "utf-8")
    assert DOCS.read_text("utf-8") == expected


def events(name: str, record: str) -> list[Event]:
    normaliser = Normaliser(Source(b"key"), parser(name))
    return normaliser.events(Frame(record.encode(), "0"), NOW)


def fires(folder: Path, logsource: str, selection: str, name: str, record: str) -> bool:
    """Whether a rule for this log source matches a raw record through its parser."""
    return sees(folder, logsource, selection, events(name, record))


def sees(folder: Path, logsource: str, selection: str, found: Iterable[Event]) -> bool:
    rule = folder / "rule.yml"
    rule.write_text(
        "title: a rule\nid: 6a7d3f0e-2f86-4bb0-9f8e-0c8a6f2a9d11\nlevel: low\n"
        f"logsource: {{{logsource}}}\n"
        f"detection:\n  selection: {{{selection}}}\n  condition: selection\n",
        "utf-8",
    )
    report = load([rule])
    assert report.rejected == ()
    reference = Reference(report.rules, pipelines())
    return any(reference.evaluate(event) for event in found)


SYSMON_1 = (
    '{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","Hostname":"pc17",'
    '"Image":"C:\\\\x\\\\a.exe","CommandLine":"a.exe /q","ParentImage":"C:\\\\p.exe",'
    '"ProcessId":7,"User":"CITY\\\\lan","Hashes":"MD5=AA,IMPHASH=BB"}'
)
SECURITY_4688 = (
    '{"EventID":"4688","Channel":"Security","Hostname":"pc17","NewProcessName":"C:\\\\x\\\\a.exe",'
    '"CommandLine":"a.exe /q","ParentProcessName":"C:\\\\p.exe","NewProcessId":"0x7",'
    '"ProcessId":"0x9","SubjectUserName":"lan","SourceName":"Microsoft-Windows-Security-Auditing"}'
)
STARTED = "product: windows, category: process_creation"
DEFENDER = (
    '{"EventID":1116,"Channel":"Microsoft-Windows-Windows Defender/Operational",'
    '"Threat Name":"Tool:Win32/Example","Source Name":"Real-Time Protection",'
    '"Path":"file:_C:\\\\t"}'
)
SET_VALUE = (
    '{"EventID":12,"Channel":"Microsoft-Windows-Sysmon/Operational","EventType":"DeleteValue",'
    '"TargetObject":"HKLM\\\\x"}'
)
POWERSHELL_400 = (
    '{"Event":{"System":{"EventID":400,"Channel":"Windows PowerShell"},"EventData":'
    '{"Data":{"#text":["Available","None","HostApplication=powershell -nop"]}}}}'
)
ACCESS = (
    '203.0.113.9 - - [22/Nov/2026:08:15:30 +0700] "GET /cgi/a.php?cmd=id HTTP/1.1" 200 5 '
    '"-" "probe/1.0"'
)
SUDO = "Nov 22 08:15:30 web01 sudo:    lan : TTY=pts/0 ; PWD=/home/lan ; USER=#-1 ; COMMAND=/bin/sh"
SSHD = "Nov 22 08:15:30 web01 sshd[471]: error: incorrect signature"
DNS = (
    '{"timestamp":"2026-11-22T08:15:30.1+0700","event_type":"dns","src_ip":"192.0.2.7",'
    '"dest_ip":"192.0.2.1","dns":{"type":"answer","rrname":"x.example","rrtype":"TXT",'
    '"answers":[{"rrname":"x.example","rrtype":"TXT","rdata":"IEX"}]}}'
)
CRON = "Nov 22 08:15:30 web01 crontab[99]: (lan) REPLACE (lan)"
LINUX = (
    "<Event><System><Provider Name='Linux-Sysmon'/><EventID>1</EventID>"
    "<Channel>Linux-Sysmon/Operational</Channel></System><EventData>"
    "<Data Name='Image'>/usr/bin/nc</Data></EventData></Event>"
)


@pytest.mark.parametrize(
    ("logsource", "selection", "name", "record"),
    [
        (STARTED, "Image|endswith: '\\a.exe', ParentImage: 'C:\\p.exe'", "windows_json", SYSMON_1),
        (
            STARTED,
            "Image|endswith: '\\a.exe', ParentImage: 'C:\\p.exe'",
            "windows_json",
            SECURITY_4688,
        ),
        (STARTED, "ProcessId: '0x7', ParentProcessId: '0x9'", "windows_json", SECURITY_4688),
        (STARTED, "Imphash: bb, md5: aa, User|contains: lan", "windows_json", SYSMON_1),
        ("product: windows", "EventID: 4688, Computer: PC17", "windows_json", SECURITY_4688),
        (
            "product: windows, service: security",
            "Provider_Name|endswith: Auditing",
            "windows_json",
            SECURITY_4688,
        ),
        (
            "product: windows, service: windefend",
            "SourceName|startswith: Real",
            "windows_json",
            DEFENDER,
        ),
        (
            "category: antivirus",
            "Signature|contains: Example, Filename|contains: 'C:'",
            "windows_json",
            DEFENDER,
        ),
        (
            "product: windows, category: registry_delete",
            "TargetObject: 'HKLM\\x'",
            "windows_json",
            SET_VALUE,
        ),
        (
            "product: windows, category: ps_classic_start",
            "Data|contains: '-nop'",
            "windows_json",
            POWERSHELL_400,
        ),
        (
            "category: webserver",
            "cs-uri-query|contains: '/cgi/a.php', sc-status: 200",
            "web_access",
            ACCESS,
        ),
        ("category: webserver", "cs-referer: null, cs-user-agent: probe/1.0", "web_access", ACCESS),
        ("product: linux, service: sudo", "USER: '#-*'", "syslog", SUDO),
        ("product: linux, service: sshd", "'|all': [incorrect signature]", "syslog", SSHD),
        ("product: linux, service: cron", "'|all': [REPLACE]", "syslog", CRON),
        ("product: linux, service: auth", "'|all': [incorrect signature]", "syslog", SSHD),
        ("category: dns", "query: X.example, record_type: TXT, answer: iex", "suricata_eve", DNS),
        (
            "product: suricata, service: dns",
            "dns.type: answer, src_ip: 192.0.2.7",
            "suricata_eve",
            DNS,
        ),
        ("product: linux, category: process_creation", "Image|endswith: /nc", "windows_xml", LINUX),
    ],
)
def test_a_rule_sees_its_events_by_sigmas_field_names(
    tmp_path: Path, logsource: str, selection: str, name: str, record: str
) -> None:
    assert fires(tmp_path, logsource, selection, name, record)


@pytest.mark.parametrize(
    ("logsource", "selection", "name", "record"),
    [
        (
            "product: windows, category: registry_add",
            "TargetObject: 'HKLM\\x'",
            "windows_json",
            SET_VALUE,
        ),
        (
            "product: windows, category: image_load",
            "Image|endswith: a.exe",
            "windows_json",
            SYSMON_1,
        ),
        ("product: windows, service: system", "EventID: 4688", "windows_json", SECURITY_4688),
        (
            "product: linux, category: process_creation",
            "Image|endswith: a.exe",
            "windows_json",
            SYSMON_1,
        ),
        (STARTED, "Image|endswith: /nc", "windows_xml", LINUX),
        ("product: linux, service: cron", "'|all': [incorrect signature]", "syslog", SSHD),
        ("category: proxy", "cs-method: GET", "web_access", ACCESS),
    ],
)
def test_a_rule_does_not_see_events_of_other_log_sources(
    tmp_path: Path, logsource: str, selection: str, name: str, record: str
) -> None:
    assert not fires(tmp_path, logsource, selection, name, record)


@pytest.mark.parametrize("category", ["proxy", "webserver"])
def test_a_rule_sees_how_much_a_client_sent(tmp_path: Path, category: str) -> None:
    """In captures: access logs and Suricata do not say it."""
    asked = request("/upload", method="POST", body=b"z" * 5000)
    capture = tmp_path / "x.pcap"
    capture.write_bytes(pcap(Talk().open().ask(asked).answer(response(b"ok")).close().frames))
    found = list(read_capture(capture, received=NOW))
    assert sees(tmp_path, f"category: {category}", "cs-bytes|gt: 4000, sc-bytes: 2", found)
    assert not sees(tmp_path, f"category: {category}", "cs-bytes|gt: 5000", found)
