"""Recognition: a file goes to the most specific parser that knows its first records."""

import subprocess
import sys

import pytest

from collectors.parsing import KIND, parser
from collectors.recognise import HEAD, recognise
from soc.errors import Exit, InputError
from soc.registry import plugins

SYSLOG = b"Nov 22 08:15:30 web01 app[1]: hello\n"
JSON = b'{"msg":"hello"}\n'


@pytest.mark.parametrize(
    ("head", "name", "framing"),
    [
        (b"", "text", "lines"),
        (b"\n\n", "text", "lines"),
        (b"plain words\n", "text", "lines"),
        (b"ElfFile\0" + bytes(4096), "windows_evtx", "evtx"),
        (SYSLOG, "syslog", "lines"),
        (SYSLOG * 4 + b"a continuation line\n" * 5, "syslog", "lines"),
        (b"a line\n" * 5 + SYSLOG, "text", "lines"),
        (JSON * 3, "json_lines", "lines"),
        (b"\xef\xbb\xbf" + JSON, "json_lines", "lines"),
        (b'{\n"msg": "hello"}\n', "json_lines", "json_documents"),
        (b'[{"msg":"hello"}]', "json_lines", "json_documents"),
        (b'[{"msg":"' + b"x" * HEAD, "text", "lines"),
        (b"[Sun Nov 22 08:15:30 2026] [core:error] x\n", "text", "lines"),
        (b'{"event_type":"flow","timestamp":"x"}\n', "suricata_eve", "lines"),
        (b'{"event_type":"flow","timestamp":"x"}\n' + JSON, "suricata_eve", "lines"),
        (b'[{"event_type":"flow","timestamp":"x"}]', "suricata_eve", "json_documents"),
        (b"\0" * 5000 + SYSLOG * 100, "syslog", "lines"),
    ],
)
def test_recognised(head: bytes, name: str, framing: str) -> None:
    found = recognise(head[:HEAD], "x.log")
    assert (found.name, found.framing) == (name, framing)


@pytest.mark.parametrize(
    "head", [b"\x7fELF" + bytes(range(256)) * 8, b"PK\3\4" + bytes(range(32)) * 9, bytes(4096)]
)
def test_a_binary_file_named_log_is_refused(head: bytes) -> None:
    with pytest.raises(InputError) as caught:
        recognise(head, "x.log")
    assert caught.value.where == "x.log"
    assert "--parser" in caught.value.hint
    assert caught.value.exit_code == Exit.INPUT


def test_no_parser_but_its_own_claims_an_example() -> None:
    for name in plugins(KIND):
        claiming = [
            other
            for other in plugins(KIND)
            if parser(other).recognise(parser(name).example) and not parser(other).generic
        ]
        assert len(claiming) <= 1, (name, claiming)


def test_looking_at_the_parsers_imports_nothing_heavy() -> None:
    """Counted in modules, not milliseconds: a busy machine must not fail the test."""
    script = (
        "import sys\n"
        "from collectors.recognise import recognise\n"
        "recognise(b'hello', 'x')\n"
        "print(sorted({'evtx', 're2', 'pydantic', 'luqum', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
