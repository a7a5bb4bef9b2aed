"""The load report's warnings: each is right, has its line, and near misses have none."""

import random
import re
import time
from pathlib import Path

import pytest

from detectors.sigma.check import Remark, check
from detectors.sigma.check_regex import fixed, heavy
from detectors.sigma.check_truth import refuted, tree
from detectors.sigma.evaluate import matches
from detectors.sigma.patterns import Regex
from detectors.sigma.pipeline import Pipelines
from detectors.sigma.values import View
from soc.run.detection import known_fields
from soc.run.detection import pipelines as shipped
from tests.data import archive
from tests.detectors.sigma.sigma_rules import load_text, pipelines, rule

PIPELINE = """\
title: Test
fields:
  one: [file.name]
  same: [file.path]
  many: [tags]
  mixed: [file.name, tags]
logsources:
  - logsource: {product: test}
    events: [{event.dataset: test}]
"""


def remarks(folder: Path, detection: str, *, logsource: str = "{product: test}") -> list[Remark]:
    report = load_text(folder, rule(detection, logsource=logsource))
    assert len(report.rules) == 1, report.rejected
    used = pipelines(folder, PIPELINE) if "test" in logsource else shipped()
    return check(report, used, known_fields())


NEVER = [
    "s: {one: a}\nt: {one: b}\ncondition: s and t",
    "s:\n  one|all: [a, b]\ncondition: s",
    "s:\n  one|startswith: ab\n  one|contains|all: [x]\n  one: abc\ncondition: s",
    "s:\n  one|startswith: ab\nt:\n  one|startswith: ac\ncondition: s and t",
    "s:\n  one|endswith: .exe\nt:\n  one|endswith: .dll\ncondition: s and t",
    "s: {one: abc}\nt:\n  one|startswith: A\ncondition: s and not t",
    "s: {many: a}\ncondition: s and not s",
    "s: {many: null}\nt: {many: a}\ncondition: s and t",
    "s:\n  many|exists: false\nt: {many: a}\ncondition: s and t",
    "s: {one: a}\nt: {one: [b, c]}\nu: {one: d}\ncondition: s and (t or u)",
    "s: {one: a}\nt: {one: a}\nu: {same: b}\ncondition: s and not (t or u)",
]
POSSIBLE = [
    "s: {many: a}\nt: {many: b}\ncondition: s and t",  # a list has both
    "s: {mixed: a}\nt: {mixed: b}\ncondition: s and t",  # it may come from the list
    "s: {one: a}\nt: {one: [b, A]}\ncondition: s and t",
    "s:\n  one|startswith: ab\nt:\n  one|startswith: abc\ncondition: s and t",
    "s:\n  one|contains: a\nt:\n  one|contains: b\ncondition: s and t",
    "s: {one: a}\nt: {same: b}\ncondition: s and t",
    "s:\n  one|startswith: A\nt: {one: abc}\ncondition: s and not t",
    "s: {one: a*}\nt: {one: '*b'}\ncondition: s and t",
    "s:\n  one|cased: A\nt:\n  one|cased: a\ncondition: s or t",
    "s: {one: 1}\nt: {one: '01'}\ncondition: s or t",
]


@pytest.mark.parametrize("detection", NEVER)
def test_what_can_never_be_true_is_told(tmp_path: Path, detection: str) -> None:
    found = [one for one in remarks(tmp_path, detection) if one.kind == "never"]
    assert len(found) == 1
    assert "excludes" in found[0].message
    line = Path(found[0].path).read_text().splitlines()[found[0].line - 1]
    assert line.strip().startswith("condition:")


@pytest.mark.parametrize("detection", POSSIBLE)
def test_what_can_be_true_is_not(tmp_path: Path, detection: str) -> None:
    assert [one for one in remarks(tmp_path, detection) if one.kind in ("never", "dead")] == []


def test_a_dead_part_of_a_living_rule(tmp_path: Path) -> None:
    detection = "s:\n  one: a\n  one|startswith: b\nt: {same: c}\ncondition: s or t"
    (found,) = [one for one in remarks(tmp_path, detection) if one.kind == "dead"]
    assert found.message.startswith("s can never be true")
    assert Path(found.path).read_text().splitlines()[found.line - 1].strip() == "s:"


def test_always_and_only_negations(tmp_path: Path) -> None:
    always = "s: {one: a}\ncondition: s or not s"
    assert [one.kind for one in remarks(tmp_path, always)] == ["always"]
    negation = "s: {one: a}\ncondition: not s"
    assert [one.kind for one in remarks(tmp_path, negation)] == ["negation"]
    wanted = "s: {one: null}\ncondition: s"
    assert remarks(tmp_path, wanted) == [], "absence is asked for by name"


def test_a_refuted_rule_matches_nothing_whatever_comes(tmp_path: Path) -> None:
    """Soundness over random conditions: nothing that is called impossible matches an event."""
    rng = random.Random(20261127)
    values = ["a", "ab", "abc", "b", "bc", "c", "a*", "*c", "?b*"]
    told = 0
    for number in range(600):
        lines = []
        for name in "stu":
            how = rng.choice(["", "|startswith", "|endswith", "|contains", "|all", "|contains|all"])
            lines.append(f"{name}:\n  {rng.choice(['one', 'many'])}{how}: ")
            lines[-1] += str(rng.sample(values, rng.choice([1, 2])))
        parts = [rng.choice(["", "not "]) + name for name in "stust"]
        ands = [rng.choice([" and ", " and ", " or "]) for _ in parts[1:]] + [""]
        text = "".join(part + joint for part, joint in zip(parts, ands, strict=True))
        folder = tmp_path / str(number)
        folder.mkdir()
        (loaded,) = load_text(folder, rule("\n".join([*lines, f"condition: {text}"]))).rules
        never = refuted(tree(loaded), lambda field: field == "one")
        always = refuted(tree(loaded, wanted=False), lambda field: field == "one")
        told += bool(never) + bool(always)
        for one in (None, "", "a", "ab", "abc", "b", "bc", "cab", "ABC"):
            for many in ([], ["a"], ["abc", "b"], ["a", "bc", "c"]):
                event = {"many": many} | ({} if one is None else {"one": one})
                found = matches(loaded, View(event), lambda field: (field,))
                assert not (never and found), (lines, text, event)
                assert not (always and not found), (lines, text, event)
    assert told > 30, "the test has seen what it is about"


SYSMON = "{product: windows, category: file_event}"


def test_a_field_that_the_events_do_not_have(tmp_path: Path) -> None:
    detection = "s: {TargetFileName: a, Image: b, EventID: 11}\ncondition: s"
    (found,) = remarks(tmp_path, detection, logsource=SYSMON)
    assert (found.kind, found.message.split(":")[0]) == ("field", "TargetFileName")
    assert found.hint == "TargetFilename?"
    known = "s: {TargetFilename: a, process.executable: b}\ncondition: s"
    assert remarks(tmp_path, known, logsource=SYSMON) == []
    anything = "s: {Whatever: a}\ncondition: s"
    unlisted = "{product: windows, service: hyper-v-worker}"
    assert remarks(tmp_path, anything, logsource=unlisted) == [], "no table, no word"


def test_what_is_always_true_is_not_called_impossible(tmp_path: Path) -> None:
    """`not s` is what can never be true."""
    detection = "s:\n  - {one: a}\n  - {one|neq: a}\nt: {same: b}\ncondition: t or not s"
    (found,) = remarks(tmp_path, detection)
    assert (found.kind, found.line) == ("dead", 5)
    assert found.message.startswith("not s can never be true")


@pytest.mark.parametrize(
    "detection",
    [
        "s:\n  one: [{all}]\nt:\n  one: [{other}]\ncondition: s and t",
        "s:\n  one: [{all}]\nt:\n  one: [{other}]\ncondition: s and not t",
        "s:\n  one|contains|all: [{all}]\ncondition: s",
        "s:\n  many|contains|all: [{some}]\nt:\n  many: [{all}]\ncondition: s and t",
        "s:\n  many|contains|all: [{some}]\nt:\n{maps}\ncondition: s and t",
    ],
)
def test_a_hostile_rule_is_checked_in_bounded_time(tmp_path: Path, detection: str) -> None:
    values = [f"value {n} x" for n in range(10_000)]
    text = detection.replace("{all}", ", ".join(values)).replace("{some}", ", ".join(values[:300]))
    text = text.replace("{other}", ", ".join(f"other {n}" for n in range(10_000)))
    text = text.replace("{maps}", "\n".join(f"  - {{many: {one}}}" for one in values[:5_000]))
    (loaded,) = load_text(tmp_path, rule(text)).rules
    started = time.process_time()
    refuted(tree(loaded), lambda field: field == "one")
    refuted(tree(loaded, wanted=False), lambda field: field == "one")
    assert time.process_time() - started < 5


WINDOWS = "{product: windows, service: %s}"


@pytest.mark.parametrize(
    ("logsource", "field", "hint"),
    [
        (WINDOWS % "security", "TargetUsername", "TargetUserName?"),
        (WINDOWS % "security", "Image", "check the spelling, and its case"),
        (WINDOWS % "taskscheduler", "Taskname", "TaskName?"),
        (WINDOWS % "windefend", "Threatname", "ThreatName?"),
        (WINDOWS % "bits-client", "remoteName", "RemoteName?"),
        (WINDOWS % "dns-client", "Queryname", "QueryName?"),
        (WINDOWS % "dns-server-analytic", "qname", "QNAME?"),
        (WINDOWS % "powershell-classic", "HostApplication", "check the spelling, and its case"),
        (WINDOWS % "sysmon", "Commandline", "CommandLine?"),
        ("{product: windows, category: sysmon_status}", "Sate", "State?"),
        ("{category: antivirus}", "FileName", "Filename?"),
        ("{product: linux, category: process_creation}", "ComandLine", "CommandLine?"),
        ("{product: linux, category: file_event}", "TargetFileName", "TargetFilename?"),
        ("{product: linux, service: sysmon}", "parentImage", "ParentImage?"),
        (WINDOWS % "wmi", "possibleCause", "PossibleCause?"),
        (WINDOWS % "applocker", "FQBN", "Fqbn?"),
        (WINDOWS % "printservice-operational", "param5", "check the spelling, and its case"),
        (WINDOWS % "printservice-admin", "Errorcode", "ErrorCode?"),
        (WINDOWS % "dns-server", "Param1", "check the spelling, and its case"),
        (WINDOWS % "msexchange-management", "data", "Data?"),
        (WINDOWS % "smbclient-connectivity", "Servername", "ServerName?"),
        (WINDOWS % "smbserver-connectivity", "sharename", "ShareName?"),
        (WINDOWS % "appmodel-runtime", "Imagename", "ImageName?"),
        (WINDOWS % "appxpackaging-om", "SubjectName", "subjectName?"),
        (WINDOWS % "diagnosis-scripted", "packagePath", "PackagePath?"),
        ("{category: dns}", "Query", "query?"),
        ("{category: firewall}", "Dst_IP", "dst_ip?"),
    ],
)
def test_a_field_that_is_not_right(tmp_path: Path, logsource: str, field: str, hint: str) -> None:
    detection = f"s: {{{field}: a, EventID: 1}}\ncondition: s"
    (found,) = remarks(tmp_path, detection, logsource=logsource)
    assert (found.kind, found.message.split(":")[0], found.hint) == ("field", field, hint)


@pytest.mark.parametrize(
    ("service", "field"),
    [
        ("windefend", "SomethingNew"),  # there may be more
        ("windefend", "SecurityintelligenceVersion"),
        ("security", "RpcCallClientLocality"),
        ("security", "ProcessID"),
        ("security", "ProcessId"),
        ("system", "ImagePath"),
        ("system", "Anything"),  # a driver may write what it likes
        ("application", "AppNaem"),
        ("wmi", "Provider"),
        ("wmi", "Processid"),
        ("applocker", "FullFilePath"),
        ("printservice-operational", "Param5"),
        ("printservice-admin", "ErrorCode"),
        ("dns-server", "param1"),
        ("dns-server", "param12"),
        ("powershell-classic", "param12"),
        ("msexchange-management", "Data"),
        ("smbclient-connectivity", "ServerAddress"),
        ("smbserver-connectivity", "EncyptionUsed"),
        ("appmodel-runtime", "ProcessID"),
        ("appxpackaging-om", "subjectName"),
        ("diagnosis-scripted", "PackagePath"),
    ],
)
def test_a_field_that_may_be_right(tmp_path: Path, service: str, field: str) -> None:
    detection = f"s: {{{field}: a, EventID: 1}}\ncondition: s"
    assert remarks(tmp_path, detection, logsource=WINDOWS % service) == []


@pytest.mark.parametrize(
    ("providers", "condition", "told"),
    [
        ("Service Control Manager", "p and s", True),
        ("service control manager", "p and s and not q", True),
        ("Service Control Manager", "(p and s) or r", True),
        ("Service Control Manager", "(p or r) and s", True),
        ("Service Control Manager", "p or s", False),
        ("Service Control Manager", "(p and s) or q", False),
        ("Netlogon", "(p and s) or r", False),
        ("Service Control Manager", "s and not p", False),
        ("[Service Control Manager, Netlogon]", "p and s", False),
        ("'*Manager'", "p and s", False),
        ("[Service Control Manager, '*Updater']", "p and s", False),
        ("Netlogon", "p and s", False),
    ],
)
def test_a_field_that_a_provider_does_not_write(
    tmp_path: Path, providers: str, condition: str, told: bool
) -> None:
    detection = f"p: {{Provider_Name: {providers}}}\nq: {{EventID: 2}}\ns: {{ServiceNaem: a}}\n"
    detection += "r: {Provider_Name: Service Control Manager, EventID: 3}\n"
    found = remarks(tmp_path, f"{detection}condition: {condition}", logsource=WINDOWS % "system")
    fields = [one for one in found if one.kind == "field"]
    assert bool(fields) == told
    assert all("from" in one.message and one.hint == "ServiceName?" for one in fields)


@pytest.mark.parametrize(
    ("kind", "field", "hint"),
    [
        ("SYSCALL", "Exe", "exe?"),
        ("execve", "CommandLine", "check the spelling, and its case"),
        ("[PATH, CWD]", "nametyp", "nametype?"),
        ("[PATH, USER_CMD]", "nametyp", None),  # a program may have written it
        ("[PATH, USER_CMD]", "NameType", "nametype?"),
        ("PATH*", "nametyp", None),
        ("EXECVE", "a128", None),
        ("EXECVE", "a2_len", None),
        ("EXECVE", "'a2[0]'", None),
        ("EXECVE", "A1", "check the spelling, and its case"),
        ("SYSCALL", "SYSCALL", None),
        ("SYSCALL", "AUID", None),
        ("SYSCALL", "name", None),  # of a record that may be joined to it
        ("SERVICE_STOP", "unit", None),
    ],
)
def test_a_field_of_audit_records(tmp_path: Path, kind: str, field: str, hint: str | None) -> None:
    """Nothing delivers them yet, which is said too."""
    detection = f"s:\n  type: {kind}\n  {field}: b\n  a0: c\ncondition: s"
    logsource = "{product: linux, service: auditd}"
    source, *found = remarks(tmp_path, detection, logsource=logsource)
    assert source.kind == "source"
    told = [(one.kind, one.message.split(":")[0], one.hint) for one in found]
    assert told == ([] if hint is None else [("field", field, hint)])
    assert all((Path(one.path).name, one.line) == ("r0.yml", 7) for one in found)


def test_the_table_has_the_fields_of_real_audit_records() -> None:
    names, seen = known_fields()["linux/auditd:syscall"], set[str]()
    for path in sorted(archive("go-libaudit-golden").rglob("*")):
        if path.suffix in (".log", ".yaml"):
            records = re.findall(r"type=\S+ msg=audit\(.*?\):(.*)", path.read_text("utf-8"))
            for record in records:
                seen |= set(re.findall(r"[ '\x1d]([A-Za-z][\w-]*)=", record))
    assert {name for name in seen if names.lack(name)} == set()
    assert len(seen) == 129


def test_the_table_names_what_a_pipeline_serves() -> None:
    table = known_fields()
    served = {str(source.logsource) for source in shipped().sources}
    rest = {name.partition(":")[0] for name in table} - served
    assert rest == {"*", "unnamed", "linux/auditd"}
    names = {name for names in table.values() for name in names.known}
    assert all(re.fullmatch(r"[A-Za-z#][\w#\[\]-]*", name) for name in names)


@pytest.mark.slow
def test_the_table_has_the_fields_of_real_events() -> None:
    from tests.conformance import test_sigmahq_regression as regression

    table, seen = known_fields(), set[str]()
    for sample in regression.samples():
        for event in regression.events(sample.path):
            names = {n.removeprefix("winlog.event_data.") for n in event if "event_data" in n}
            for source in shipped().sources:
                known = table.get(str(source.logsource))
                if known and source.delivers(View(event)):
                    seen.add(str(source.logsource))
                    assert names <= known.known, (sample.path, source.logsource)
    assert len(seen) == 15


def test_a_field_without_a_mapping_and_a_source_without_events(tmp_path: Path) -> None:
    (found,) = remarks(tmp_path, "s: {one: a, two: b, source.ip: c}\ncondition: s")
    assert (found.kind, found.message.split(":")[0]) == ("mapping", "two")
    proxy = "s:\n  cs-hosts: a\ncondition: s"
    (found,) = remarks(tmp_path, proxy, logsource="{category: proxy}")
    assert (found.kind, found.line, found.hint) == ("mapping", 6, "cs-host?")
    (found,) = remarks(tmp_path, "s: {f: a}\ncondition: s", logsource="{product: toaster}")
    assert (found.kind, "never fires" in found.message) == ("source", True)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (r"(a+)+x", "nested"),
        (r"abc(\w+\s?)*x", "nested"),
        (r"((a|b*)|c)+", "nested"),
        (r"abcd(?:[a-z]\d){1,999}", "instructions"),
        (r"(abcd+)+x", ""),
        (r"union(%20|/\*[^*]*\*/)+select", ""),
        (r"(abc|bcd)+x{1,3}", ""),
    ],
)
def test_heavy_expressions(expression: str, words: str) -> None:
    found = heavy(Regex(expression))
    assert words in found
    assert bool(found) == bool(words)


@pytest.mark.parametrize("text", [r"^[A-Za-z0-9]{16}$", r".*\d+", "(abc|d)", "a?b?c?", "[Aa]bc"])
def test_expressions_without_fixed_text(text: str) -> None:
    assert not fixed(Regex(text))


@pytest.mark.parametrize("text", ["abc.*", r"(?i)\\Temp\\[^\\]+", "(abc|bcde)+", "x(abc){2}"])
def test_expressions_with_fixed_text(text: str) -> None:
    assert fixed(Regex(text))


def test_a_regex_is_slow_only_where_nothing_else_is_looked_for_first(tmp_path: Path) -> None:
    bare = "s:\n  same|re: '\\d{9}'\ncondition: s"
    (found,) = remarks(tmp_path, bare)
    assert (found.kind, found.line) == ("regex", 6)
    guarded = "s:\n  same|re: '\\d{9}'\n  one: a\ncondition: s"
    assert remarks(tmp_path, guarded) == []
    either = "s:\n  same|re: '\\d{9}'\nt: {one: a}\ncondition: s or t"
    assert [one.kind for one in remarks(tmp_path, either)] == ["regex"]


@pytest.mark.slow
def test_the_whole_corpus(tmp_path: Path) -> None:
    from detectors.sigma.load import load

    report = load([archive("sigmahq-rules")])
    assert (len(report.rules), len(report.rejected)) == (3755, 25)
    assert all("placeholder" in one.reason for one in report.rejected)
    kinds = [one.kind for one in check(report, Pipelines(shipped().sources), known_fields())]
    assert not {"never", "always", "dead"} & set(kinds)
    assert kinds.count("field") == 27
