"""The loader: what it takes, what it rejects, and that every rejection says where and why."""

import os
from pathlib import Path

import pytest

from detectors.sigma.cache import load_cached
from detectors.sigma.load import MAX_FILE, load
from detectors.sigma.pipeline import Pipelines
from soc.errors import ContentError
from tests.detectors.sigma.sigma_rules import load_text, rule

SIMPLE = rule("s: {F: x}\ncondition: s")


def rejection(folder: Path, text: str) -> tuple[int, str, str]:
    report = load_text(folder, text)
    assert report.rules == ()
    (found,) = report.rejected
    assert found.path == str(folder / "r0.yml")
    return found.line, found.reason, found.hint


def test_a_rule_says_what_findings_repeat(tmp_path: Path) -> None:
    head = (
        "name: first_rule\nstatus: test\ndescription: What it is.\nauthor: Lan\n"
        "date: 2026-01-02\nmodified: 2026-03-04\nlevel: high\n"
        "references: ['https://example.org/a']\nfalsepositives: [Backups]\n"
        "fields: [User, Image]\n"
        "tags: [attack.t1059.001, attack.T1003, attack.defense-evasion, attack.execution,\n"
        "  attack.command_and_control, attack.g0007, attack.s0002, cve.2021-44228]\n"
    )
    (found,) = load_text(tmp_path, rule("s: {F: x}\ncondition: s", head=head)).rules
    info = found.info
    assert (info.title, info.level, info.version) == ("Rule 1", "high", "2026-03-04")
    assert info.techniques == ("T1059.001",)
    assert info.tactics == ("Defense Evasion", "Execution", "Command and Control")
    assert (info.author, info.references) == ("Lan", ("https://example.org/a",))
    assert info.false_positives == ("Backups",)
    assert (found.name, found.status, found.fields) == ("first_rule", "test", ("User", "Image"))
    assert info.path == str(tmp_path / "r0.yml")
    assert found.where == f"{tmp_path / 'r0.yml'}:1"
    assert str(found.logsource) == "test"


def test_the_version_is_the_date_of_creation_when_never_modified(tmp_path: Path) -> None:
    (found,) = load_text(tmp_path, rule("s: {F: x}\ncondition: s", head="date: 2026-01-02\n")).rules
    assert (found.info.version, found.info.level) == ("2026-01-02", "medium")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("title: T\nid: [", 3, "not valid YAML"),
        ("title: T\n\tid: x", 2, "not valid YAML"),
        ("- a\n- b", 1, "a map"),
        ("just text", 1, "a map"),
        (SIMPLE.replace("title: Rule 1\n", ""), 1, "title is missing"),
        (SIMPLE.replace("id: 0", "# 0"), 1, "id is missing"),
        (SIMPLE.replace("logsource: {product: test}\n", ""), 1, "logsource is missing"),
        (SIMPLE.replace("product: test", "definition: x"), 3, "names no product"),
        (SIMPLE.partition("detection")[0], 1, "detection is missing"),
        (rule("s: {F: x}"), 5, "no condition"),
        (rule("condition: s"), 5, "no selection"),
        (rule("s: {F: x}\ncondition: t"), 6, "'t', which is no selection"),
        (rule("s: {F: x}\ncondition: s and"), 6, "ends where"),
        (rule("s: {F: x}\ncondition: (s"), 6, "not closed"),
        (rule("s: {F: x}\ncondition: s)"), 6, "not expected"),
        (rule("s: {F: x}\ncondition: s s"), 6, "no selection"),
        (rule("s: {F: x}\ncondition: s AND s"), 6, "'AND'"),
        (rule("s: {F: x}\ncondition: NOT s"), 6, "'NOT'"),
        (rule("s: {F: x}\ncondition: 2 of s*"), 6, "`2 of` does not exist"),
        (rule("s: {F: x}\ncondition: 1 of z*"), 6, "matches no selection"),
        (rule("s: {F: x}\ncondition: s | count() > 5"), 6, "aggregation"),
        (rule("s: {F: x}\ncondition: s near s"), 6, "near"),
        (rule("s: {F: x}\ncondition: ''"), 6, "empty"),
        (rule("s: {F: x}\ncondition: 5"), 6, "a condition is text"),
        (rule("s: {F: x}\ncondition: " + "(" * 500 + "s" + ")" * 500), 6, "nested deeper"),
        (rule("s: {F: x}\ncondition: " + "not " * 9000 + "s"), 6, "more than"),
        (rule("s: {}\ncondition: s"), 5, "the map is empty"),
        (rule("s: []\ncondition: s"), 5, "the list is empty"),
        (rule("s: {F: []}\ncondition: s"), 5, "the list is empty"),
        (rule("s: {F: {G: x}}\ncondition: s"), 5, "a map is no value"),
        (rule("s: [[a]]\ncondition: s"), 5, "a list inside a list"),
        (rule("s:\n  F:\n    - x\n    - null\ncondition: s"), 8, "null cannot be in a list"),
        (rule("s: [null]\ncondition: s"), 5, "null cannot be"),
        (rule("s: {F|contians: x}\ncondition: s"), 5, "unknown modifier 'contians'"),
        (rule("s: {F|Contains: x}\ncondition: s"), 5, "unknown modifier"),
        (rule("s: {F|contains|contains: x}\ncondition: s"), 5, "stands twice"),
        (rule("s: {F|startswith|endswith: x}\ncondition: s"), 5, "exclude each other"),
        (rule("s: {F|gt: '5'}\ncondition: s"), 5, "applies to a number"),
        (rule("s: {F|exists: 'yes'}\ncondition: s"), 5, "true or false"),
        (rule("s: {F|exists|neq: true}\ncondition: s"), 5, "`neq` does not apply"),
        (rule("s: {F|contains: null}\ncondition: s"), 5, "null"),
        (rule("s: {F|cidr: 10.0.0.1/8}\ncondition: s"), 5, "no network"),
        (rule("s: {F|cidr: 10.0.0.*}\ncondition: s"), 5, "no network"),
        (rule("s: {F|contains|cidr: 10.0.0.0/8}\ncondition: s"), 5, "first modifier"),
        (rule("s: {F|hour: 24}\ncondition: s"), 5, "between 0 and 23"),
        (rule("s: {F|hour: '5'}\ncondition: s"), 5, "applies to a number"),
        (rule("s: {F|gte|hour: 5}\ncondition: s"), 5, "first modifier"),
        (rule("s: {F|i: x}\ncondition: s"), 5, "regular expression"),
        (rule("s: {F|contains|re: x}\ncondition: s"), 5, "first modifier"),
        (rule("s: {F|re|contains: x}\ncondition: s"), 5, "does not apply"),
        (rule("s: {F|re|cased: x}\ncondition: s"), 5, "applies to text"),
        (rule("s: {F|re: '(?=a)'}\ncondition: s"), 5, "(?=a)"),
        (rule(r"s: {F|re: '(a)\1'}" + "\ncondition: s"), 5, "escape"),
        (rule("s: {F|re: '['}\ncondition: s"), 5, "missing ]"),
        (rule("s: {F|re: 'a{5000}'}\ncondition: s"), 5, "repetition"),
        (rule("s: {F|base64: 'a*'}\ncondition: s"), 5, "wildcards cannot be encoded"),
        (rule("s: {F|base64offset|contains: 'a'}\ncondition: s"), 5, "at least 2 bytes"),
        (rule("s: {F|windash|base64: '- - - - -'}\ncondition: s"), 5, "forms to encode"),
        (rule("s: {F|wide|wide: 'abc'}\ncondition: s"), 5, "stands twice"),
        (rule("s: {F|wide|utf16be: 'abc'}\ncondition: s"), 5, "encoded already"),
        (rule("s: {F|fieldref: 'a*'}\ncondition: s"), 5, "without wildcards"),
        (rule("s: {'|exists': true}\ncondition: s"), 5, "needs a field"),
        (rule("s: {F|expand: '%Servers%'}\ncondition: s"), 5, "placeholder %Servers%"),
        (rule("s: {F: x}\ntimeframe: 5m\ncondition: s"), 6, "timeframe"),
        (rule("s: {F: x, F: y}\ncondition: s"), 5, "stands twice"),
        (rule("s: {F: x}\ncondition: s", head="level: urgent\n"), 4, "level 'urgent'"),
        ("action: global\n" + SIMPLE, 1, "action"),
        (
            "title: C\nid: x\ncorrelation:\n  type: event_count\n",
            4,
            "rules is missing",
        ),
        ("a: !!python/object/apply:os.system ['x']\n", 1, "tag"),
        ("a: &x 1\n<<: *x\n", 2, "merge"),
        ("? [a, b]\n: c\n", 1, "a key must be text"),
        ("a: *nobody\n", 1, "nobody"),
        ("a: &x [*x]\n", 1, "alias *x"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    found_line, reason, _ = rejection(tmp_path, text)
    assert words in reason
    assert found_line == line


@pytest.mark.parametrize(
    ("detection", "hint"),
    [
        ("s: {F: x}\ncondition: s AND s", "and"),
        ("s: {F: x}\ncondition: 2 of them", "1 of"),
        ("s: {F: x}\ncondition: 1 of z*", "s"),
        ("s: {F: x}\ncondition: s | count() > 5", "correlation"),
        ("s: {F|Contains: x}\ncondition: s", "write contains"),
        ("s: {F|gt: '5'}\ncondition: s", "quotes"),
        ("s: {F|re: '(?=a)'}\ncondition: s", "lookaround"),
        ("s: {F|i: x}\ncondition: s", "|re|i"),
    ],
)
def test_a_hint_says_what_to_do(tmp_path: Path, detection: str, hint: str) -> None:
    assert hint in rejection(tmp_path, rule(detection))[2]


def test_a_bad_rule_costs_only_itself(tmp_path: Path) -> None:
    report = load_text(tmp_path, rule("s: {F|x: x}\ncondition: s"), SIMPLE)
    assert [r.info.title for r in report.rules] == ["Rule 1"]
    assert len(report.rejected) == 1


def test_several_documents_in_a_file_know_their_lines(tmp_path: Path) -> None:
    third = rule("s: {F|x: x}\ncondition: s", number=3)
    text = "---\n".join([SIMPLE, rule("s: {F: y}\ncondition: s", number=2), third])
    report = load_text(tmp_path, text)
    assert [r.info.title for r in report.rules] == ["Rule 1", "Rule 2"]
    assert report.rules[1].where.endswith(":8")
    assert report.rejected[0].line == 19


def test_a_syntax_error_costs_what_follows_it_only(tmp_path: Path) -> None:
    report = load_text(tmp_path, SIMPLE + "---\ntitle: [\n")
    assert len(report.rules) == 1
    assert "not valid YAML" in report.rejected[0].reason


def test_the_second_rule_of_an_id_is_rejected_and_names_the_first(tmp_path: Path) -> None:
    report = load_text(tmp_path, SIMPLE, SIMPLE)
    assert len(report.rules) == 1
    assert report.rejected[0].path.endswith("r1.yml")
    assert f"{tmp_path / 'r0.yml'}:1" in report.rejected[0].reason


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ("status: strange\n", "status 'strange'"),
        ("status: deprecated\n", "deprecated"),
        ("date: 2026/01/02\n", "YYYY-MM-DD"),
        ("modified: yesterday\n", "YYYY-MM-DD"),
        ("tags: [Not A Tag]\n", "namespace.name"),
        ("references: one\n", "should be a list"),
        ("falsepositives: {a: b}\n", "should be a list"),
    ],
)
def test_what_only_the_schema_forbids_is_a_warning(tmp_path: Path, head: str, words: str) -> None:
    report = load_text(tmp_path, rule("s: {F: x}\ncondition: s", head=head))
    assert len(report.rules) == 1
    (warning,) = report.warnings
    assert words in warning.message
    assert warning.line == 4


@pytest.mark.parametrize(
    ("detection", "line", "words"),
    [
        ("s: {F|contains|all: x}\ncondition: s", 5, "`all` has no meaning"),
        ("s: {F: x}\nt: {F: x}\ncondition: s", 6, "does not use the selection 't'"),
    ],
)
def test_odd_detections_are_warned_about(
    tmp_path: Path, detection: str, line: int, words: str
) -> None:
    (warning,) = load_text(tmp_path, rule(detection)).warnings
    assert (warning.line, words in warning.message) == (line, True)


def test_an_id_that_is_no_uuid_is_a_warning(tmp_path: Path) -> None:
    report = load_text(tmp_path, SIMPLE.replace("id: 0000", "id: city-0000"))
    assert len(report.rules) == 1
    assert "no UUID" in report.warnings[0].message


def test_files_are_found_by_name(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "one.yaml").write_text(SIMPLE)
    for name in ("one.test.yml", "one.md", "one.yml.bak"):
        (deep / name).write_text("nothing of ours: [")
    report = load([tmp_path, deep / "one.yaml"])
    assert (len(report.rules), report.rejected) == (1, ())


def test_a_path_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="there is no"):
        load([tmp_path / "nowhere"])


def test_what_is_no_text_file_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "latin.yml").write_bytes(b"title: x\nauthor: Jos\xe9\n")
    (tmp_path / "zero.yml").write_bytes(b"title: a\0b\n")
    (tmp_path / "large.yml").write_bytes(b"#" * (MAX_FILE + 1))
    os.mkfifo(tmp_path / "pipe.yml")
    (tmp_path / "gone.yml").symlink_to(tmp_path / "nowhere")
    reasons = {Path(r.path).name: (r.line, r.reason) for r in load([tmp_path]).rejected}
    assert reasons["latin.yml"] == (2, "not valid UTF-8")
    assert "YAML" in reasons["zero.yml"][1]
    assert "larger than" in reasons["large.yml"][1]
    assert "regular file" in reasons["pipe.yml"][1]
    assert "regular file" in reasons["gone.yml"][1]


def test_a_byte_order_mark_and_crlf_are_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_bytes(b"\xef\xbb\xbf" + SIMPLE.replace("\n", "\r\n").encode())
    report = load([tmp_path])
    assert (len(report.rules), report.rejected) == (1, ())


def test_an_empty_file_is_nothing(tmp_path: Path) -> None:
    report = load_text(tmp_path, "", "# only a comment\n")
    assert (report.rules, report.rejected) == ((), ())


@pytest.mark.timeout(5)
def test_an_alias_bomb_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for n in range(1, 30):
        lines.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]")
    line, reason, _ = rejection(tmp_path, "\n".join(lines))
    assert "aliases" in reason
    assert line < 10


@pytest.mark.timeout(5)
@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000])
def test_deep_nesting_is_refused(tmp_path: Path, text: str) -> None:
    report = load_text(tmp_path, text)
    assert report.rules == ()
    assert report.rejected


def test_anchors_within_bounds_are_fine(tmp_path: Path) -> None:
    report = load_text(tmp_path, rule("s: {F: &v [x, y]}\nt: {G: *v}\ncondition: s and t"))
    assert (len(report.rules), report.rejected) == (1, ())


@pytest.mark.timeout(10)
def test_ten_thousand_values_load(tmp_path: Path) -> None:
    values = "".join(f"\n    - value-{n}" for n in range(10_000))
    (found,) = load_text(tmp_path, rule(f"s:\n  F|contains:{values}\ncondition: s")).rules
    item = found.selections["s"]
    assert len(getattr(item, "patterns", ())) == 10_000


@pytest.mark.timeout(5)
def test_windash_over_many_dashes_does_not_expand(tmp_path: Path) -> None:
    report = load_text(tmp_path, rule(f"s: {{F|windash: '{'-a' * 200}'}}\ncondition: s"))
    assert len(getattr(report.rules[0].selections["s"], "patterns", ())) == 1


def test_placeholders_get_their_values(tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text(
        rule(r"s: {F|expand: '%Servers%.\%plain%Zone%'}" + "\ncondition: s")
    )
    values = {"Servers": ["srv*", "db"], "Zone": ["lan"]}
    (found,) = load([tmp_path], placeholders=values).rules
    patterns = getattr(found.selections["s"], "patterns", ())
    texts = ["".join(t if isinstance(t, str) else t.value for t in p.tokens) for p in patterns]
    assert texts == ["srv*.%plainlan", "db.%plainlan"]


def test_null_is_as_if_the_key_were_not_there(tmp_path: Path) -> None:
    head = "level: null\nname: ~\nauthor: null\nmodified: Null\nstatus: null\n"
    text = rule("s: {F: x}\ncondition: s", logsource="{product: test, service: null}", head=head)
    report = load_text(tmp_path, text)
    assert not report.warnings
    (found,) = report.rules
    assert (found.info.level, found.info.author, found.info.version) == ("medium", "", "")
    assert (found.name, found.status, str(found.logsource)) == ("", "", "test")
    line, reason, _ = rejection(tmp_path, text.replace("title: Rule 1", "title: null"))
    assert (line, reason) == (1, "title is missing")


def test_an_empty_document_is_none(tmp_path: Path) -> None:
    report = load_text(tmp_path, f"---\n---\n# nothing\n---\n{SIMPLE}---\n...\n", "# nothing")
    assert len(report.rules) == 1
    assert not report.rejected


def too_deep(folder: Path) -> Path:
    """Make a folder that nobody can list, root neither: its path is longer than the system takes.

    Return the first folder on the way.
    """
    above = os.open(folder, os.O_RDONLY)
    for _ in range(17):
        os.mkdir("d" * 250, dir_fd=above)
        inner = os.open("d" * 250, os.O_RDONLY, dir_fd=above)
        os.close(above)
        above = inner
    os.close(above)
    return folder / ("d" * 250)


def test_a_folder_that_cannot_be_read_is_rejected_and_the_rest_runs(tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text(SIMPLE, "utf-8")
    unread = too_deep(tmp_path)
    for report in (load([tmp_path]), load_cached([tmp_path], tmp_path / "cache")):
        assert len(report.rules) == 1
        (found,) = report.rejected
        assert found.path.startswith(str(unread))
        assert found.reason == "the folder cannot be read: File name too long"
    assert not list((tmp_path / "cache").glob("*")), "it may be readable the next time"


def test_a_folder_of_pipelines_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    too_deep(tmp_path)
    with pytest.raises(ContentError, match="the folder cannot be read"):
        Pipelines.load([tmp_path])
