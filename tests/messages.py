"""What people read and translators translate: the messages in the sources, as a .pot file."""

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("soc/cli", "soc/run", "soc/i18n.py")
COMMANDS = ("soc/cli/commands", "soc/cli/collect", "soc/cli/rules", "soc/cli/store")

HEADER = """\
# Messages of metrosoc. Made by: pytest tests/soc/test_i18n.py --golden-update
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"
"""


@dataclass
class Message:
    """A message, its plural, and the files that use it."""

    text: str
    plural: str = ""
    places: set[str] = field(default_factory=set)


def messages() -> dict[str, Message]:
    """Return every message of the sources, in the order of files and lines."""
    found: dict[str, Message] = {}
    for source in SOURCES:
        place = ROOT / source
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            name = path.relative_to(ROOT).as_posix()
            tree = ast.parse(path.read_text("utf-8"))
            texts = [*_calls(tree), *(_helps(tree, path) if _is_command(path) else [])]
            for text, plural in filter(lambda pair: pair[0], texts):
                message = found.setdefault(text, Message(text))
                message.plural = message.plural or plural
                message.places.add(name)
    return found


def _is_command(path: Path) -> bool:
    return path.parent.relative_to(ROOT).as_posix() in COMMANDS and not path.stem.startswith("_")


def _calls(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "_":
                yield _literal(node.args[0]), ""
            elif node.func.id == "ngettext":
                yield _literal(node.args[0]), _literal(node.args[1])


def _literal(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return ""


def _helps(tree: ast.Module, path: Path) -> Iterator[tuple[str, str]]:
    """Yield what help shows: a command file's first line and its functions' docstrings."""
    if path.parent == ROOT / COMMANDS[0] or any(map(_is_group, tree.body)):
        yield (ast.get_docstring(tree) or "").partition("\n")[0], ""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and (
            node.name == "command" or any(map(_registers, node.decorator_list))
        ):
            yield inspect.cleandoc(ast.get_docstring(node) or ""), ""


def _is_group(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "app"


def _registers(node: ast.expr) -> bool:
    call = node.func if isinstance(node, ast.Call) else node
    return isinstance(call, ast.Attribute) and call.attr in ("command", "callback")


def pot() -> str:
    """Return the template that translators start from."""
    return _file(HEADER, {})


def po(header: str, translations: dict[str, tuple[str, ...]]) -> str:
    """Return a catalogue of today's messages: translations that still fit, empty ones for new."""
    return _file(header, translations)


def _file(header: str, translations: dict[str, tuple[str, ...]]) -> str:
    entries = [header]
    for message in messages().values():
        places = " ".join(sorted(message.places))
        entry = f"#: {places}\nmsgid {_quoted(message.text)}\n"
        forms = translations.get(message.text, ("", "") if message.plural else ("",))
        if message.plural:
            entry += f"msgid_plural {_quoted(message.plural)}\n"
            entry += "".join(
                f"msgstr[{number}] {_quoted(form)}\n" for number, form in enumerate(forms)
            )
        else:
            entry += f"msgstr {_quoted(forms[0])}\n"
        entries.append(entry)
    return "\n".join(entries)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\b", "\\b")
    lines = escaped.replace("\n", "\\n\n").splitlines()
    if len(lines) == 1:
        return f'"{lines[0]}"'
    return '""\n' + "\n".join(f'"{line}"' for line in lines)
