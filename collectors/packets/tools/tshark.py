"""tshark: the widest knowledge of protocols, in C and with a long list of CVEs, so in a sandbox.

Only `-T fields`: `ek`, `json` and `pdml` take super-linear time on repeated fields, and an EK
decode of one hostile JSON body never ends. The dissectors of JSON and VNC are off for the same
reason. No names are resolved; no plugin and no Lua script is loaded.
"""

from collections.abc import Sequence
from shutil import which
from typing import Final

from collectors.packets.tools.captures import SNAPLEN, Pcapng
from collectors.packets.tools.conversation import Frame
from collectors.packets.tools.decoding import MAX_INFO, Decoded, Outcome, limits_for
from collectors.packets.tools.sandbox import jailed, run, works

_ENVIRON: Final = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/nonexistent",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    # Lua is only reached through scripts in the plugin folders.
    "WIRESHARK_PLUGIN_DIR": "/nonexistent",
    "WIRESHARK_CONFIG_DIR": "/nonexistent",
    "WIRESHARK_EXTCAP_DIR": "/nonexistent",
}


def missing() -> str:
    """Return "" when tshark can be used here, else why not."""
    if which("tshark") is None:
        return "tshark is not installed"
    return works()


def command(path: str) -> list[str]:
    """Return the command line: a capture on standard input, a line per frame on standard output."""
    line = [path, "-r", "-", "-n", "-l", "-T", "fields"]
    for field in ("frame.number", "_ws.col.Protocol", "_ws.col.Info"):
        line += ["-e", field]
    line += ["-E", "separator=/t", "-E", "occurrence=f", "-E", "header=n"]
    return [*line, "--disable-protocol", "json", "--disable-protocol", "vnc"]


def decode(frames: Sequence[Frame]) -> Outcome:
    """Return what tshark says about frames of one capture."""
    path = which("tshark")
    if path is None:
        return Outcome([], "tshark is not installed")
    limits = limits_for(frames)
    writer = Pcapng()
    capture = b"".join(writer.add(f._replace(data=f.data[:SNAPLEN])) for f in frames)
    output = run(jailed(command(path), limits, _ENVIRON), capture, limits)
    rows = parsed(output.data, len(frames))
    if len(rows) == len(frames):
        return Outcome(rows, "")
    return Outcome(rows, output.problem or "it ended early")


def parsed(data: bytes, count: int) -> list[Decoded]:
    """Return the lines of frames 1, 2, ... up to a count; others are left out.

    A line is only taken for the frame that comes next, so that text in a packet cannot stand for
    many frames.
    """
    rows: list[Decoded] = []
    for line in data.split(b"\n")[:-1]:  # the last one is empty, or was cut off
        if len(rows) == count:
            break
        number, *rest = line.decode("utf-8", "backslashreplace").split("\t", 2)
        if number == str(len(rows) + 1) and len(rest) == 2:
            rows.append(Decoded(rest[0][:64], rest[1][:MAX_INFO].strip()))
    return rows
