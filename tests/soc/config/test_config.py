"""Where values come from, what wins, and what is said about mistakes."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soc.config import Config, SecretRef, Sources, load, read
from soc.config.options import Options
from soc.errors import ContentError


class Store(Options):
    url: str = "sqlite:x"
    days: int | None = None
    secret: SecretRef | None = None


class Input(Options):
    path: str
    zone: str = "local"


class Rules(Options):
    paths: tuple[Path, ...] = ()
    strict: bool = False


SECTIONS: dict[str, Any] = {"store": Store, "inputs": list[Input], "rules": Rules}


class World:
    """A machine with its three configuration files, variables and flags."""

    def __init__(self, root: Path) -> None:
        self.system = root / "etc" / "soc.toml"
        self.user = root / "home" / ".config" / "metrosoc" / "soc.toml"
        self.here = root / "work" / "soc.toml"
        for path in (self.system, self.user, self.here):
            path.parent.mkdir(parents=True)
        self.environ = {"HOME": str(root / "home")}
        self.flags: dict[str, tuple[str, Any]] = {}

    @property
    def sources(self) -> Sources:
        return Sources(self.flags, self.environ, self.here.parent, self.system)

    def load(self) -> Config:
        return load(SECTIONS, self.sources)

    def problem(self) -> ContentError:
        with pytest.raises(ContentError) as caught:
            self.load()
        return caught.value


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_without_any_source_the_defaults_hold(world: World) -> None:
    config = world.load()
    assert config.section("store", Store) == Store()
    assert config.section("inputs", list[Input]) == []
    assert config.origin("store.url") == "default"
    assert config.files == ()


def test_each_place_wins_over_the_one_before(world: World) -> None:
    def url() -> tuple[str, str]:
        config = world.load()
        return config.section("store", Store).url, config.origin("store.url")

    world.system.write_text('[store]\nurl = "system"')
    assert url() == ("system", f"{world.system}:2")
    world.user.write_text('\n[store]\nurl = "user"')
    assert url() == ("user", f"{world.user}:3")
    world.here.write_text('# here\nstore.url = "here"')
    assert url() == ("here", f"{world.here}:2")
    world.environ["SOC_STORE__URL"] = "variable"
    assert url() == ("variable", "SOC_STORE__URL")
    world.flags["store.url"] = ("--store", "flag")
    assert url() == ("flag", "--store")
    world.flags["store.url"] = ("--store", None)
    world.environ["SOC_STORE__URL"] = ""
    assert url() == ("here", f"{world.here}:2")


def test_xdg_config_home_moves_the_users_file(world: World, tmp_path: Path) -> None:
    world.environ["XDG_CONFIG_HOME"] = str(tmp_path / "xdg")
    (tmp_path / "xdg" / "metrosoc").mkdir(parents=True)
    (tmp_path / "xdg" / "metrosoc" / "soc.toml").write_text('store.url = "xdg"')
    world.user.write_text('store.url = "not read"')
    assert world.load().section("store", Store).url == "xdg"


def test_tables_are_merged_and_lists_are_replaced(world: World) -> None:
    world.system.write_text(
        '[store]\nurl = "system"\n[rules]\npaths = ["a", "b"]\n[[inputs]]\npath = "x"\n'
    )
    world.here.write_text('[store]\ndays = 3\n[rules]\npaths = ["c"]\n')
    config = world.load()
    store = config.section("store", Store)
    assert (store.url, store.days) == ("system", 3)
    assert config.section("rules", Rules).paths == (Path("c"),)
    assert [entry.path for entry in config.section("inputs", list[Input])] == ["x"]
    assert config.origin("store.url") == f"{world.system}:2"
    assert config.origin("store.days") == f"{world.here}:2"


def test_every_option_is_listed_with_its_origin(world: World) -> None:
    world.here.write_text('[[inputs]]\npath = "a"\n\n[[inputs]]\npath = "b"\nzone = "UTC"\n')
    rows = {row.key: (row.value, row.origin) for row in world.load().rows()}
    assert rows["inputs.0.path"] == ("a", f"{world.here}:2")
    assert rows["inputs.1.zone"] == ("UTC", f"{world.here}:6")
    assert rows["inputs.0.zone"] == ("local", "default")
    assert rows["rules.paths"] == ([], "default")


@pytest.mark.parametrize(
    ("name", "text", "section", "value"),
    [
        ("SOC_STORE__DAYS", "30", "store", Store(days=30)),
        ("SOC_STORE__URL", "30", "store", Store(url="30")),
        ("SOC_RULES__PATHS", '["a", "b"]', "rules", Rules(paths=(Path("a"), Path("b")))),
        ("SOC_RULES__STRICT", "true", "rules", Rules(strict=True)),
        ("SOC_STORE__SECRET", "env:TOKEN", "store", Store(secret=SecretRef("env", "TOKEN"))),
    ],
)
def test_variables_are_read_as_the_option_wants(
    world: World, name: str, text: str, section: str, value: Options
) -> None:
    world.environ[name] = text
    assert world.load().section(section, Options) == value


@pytest.mark.parametrize("name", ["SOC_LANG", "SOCKS__PROXY", "soc_store__url", "SOC"])
def test_other_variables_are_none_of_our_business(world: World, name: str) -> None:
    world.environ[name] = "x"
    assert world.load().section("store", Store) == Store()


MISTAKES = [
    ('[store]\nurll = "x"', 2, "unknown key 'urll' in [store]", "url"),
    ('[storee]\nurl = "x"', 1, "unknown section or key 'storee'", "store"),
    ('[[inputs]]\npath = "x"\nzon = "UTC"', 3, "unknown key 'zon' in [inputs[0]]", "zone"),
    ("[store]\n\ndays = '30'", 3, "store.days must be a whole number, not text", ""),
    ("[store]\ndays = true", 2, "store.days must be a whole number, not a truth value", ""),
    ("[store]\nurl = 3", 2, "store.url must be text, not a whole number", ""),
    ("[rules]\npaths = 'a'", 2, "rules.paths must be a list, not text", ""),
    ("[rules]\nstrict = 1", 2, "rules.strict must be true or false, not a whole number", ""),
    ("store = 3", 1, "store must be a table, not a whole number", ""),
    ('[inputs]\npath = "x"', 1, "inputs must be a list, not a table", ""),
    ('[[inputs]]\nzone = "UTC"', 1, "inputs[0] needs a key 'path'", ""),
    ("[store]\nurl = ", 2, "not valid TOML: Invalid value", "https://toml.io/en/v1.0.0"),
    ("[store\n", 1, "not valid TOML", "https://toml.io/en/v1.0.0"),
]


@pytest.mark.parametrize(("text", "line", "message", "hint"), MISTAKES)
def test_a_mistake_is_named_with_file_and_line(
    world: World, text: str, line: int, message: str, hint: str
) -> None:
    world.here.write_text(text)
    problem = world.problem()
    assert problem.message.startswith(message)
    assert problem.where == f"{world.here}:{line}"
    assert problem.hint == hint


@pytest.mark.parametrize(
    ("name", "text", "message", "hint"),
    [
        ("SOC_STORE__URLL", "x", "unknown key 'urll' in [store]", "url"),
        ("SOC_STOER__URL", "x", "unknown section or key 'stoer'", "store"),
        ("SOC_STORE__DAYS", "soon", "store.days must be a whole number, not text", ""),
        ("SOC_STORE__URL", "\udcff", "the value is not UTF-8", "unset SOC_STORE__URL"),
    ],
)
def test_a_mistake_in_a_variable_names_the_variable(
    world: World, name: str, text: str, message: str, hint: str
) -> None:
    world.environ[name] = text
    problem = world.problem()
    assert (problem.message, problem.where, problem.hint) == (message, name, hint)


def test_a_mistake_in_a_flag_names_the_flag(world: World) -> None:
    world.flags["store.days"] = ("--days", "soon")
    assert world.problem().where == "--days"


def test_all_mistakes_are_found_in_one_go(world: World) -> None:
    world.system.write_text("[[[")
    world.here.write_text("[store]\nurl = 3\nurll = 3\n")
    config, problems = read(SECTIONS, world.sources)
    assert config is None
    assert {problem.where for problem in problems} == {
        f"{world.system}:1",
        f"{world.here}:2",
        f"{world.here}:3",
    }


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"x = '\xff'", "not UTF-8"),
        (b"#" * (1 << 20) + b"\n", "larger than"),
        (b"x = " + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(world: World, raw: bytes, message: str) -> None:
    world.here.write_bytes(raw)
    assert world.problem().message.startswith(message)


def test_windows_line_ends_and_a_byte_order_mark_are_read(world: World) -> None:
    world.here.write_bytes(b'\xef\xbb\xbf[store]\r\nurl = "x"\r\nurll = 1\r\n')
    assert world.problem().where == f"{world.here}:3"


def test_defaults_may_follow_from_what_was_set(world: World) -> None:
    world.here.write_text("[store]\ndays = 3")
    config = load(
        SECTIONS, world.sources, lambda given: {"store": {"url": f"keep-{given['store']['days']}"}}
    )
    assert config.section("store", Store).url == "keep-3"
    assert config.origin("store.url") == "default"


toml_strings = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=8)


@given(st.lists(toml_strings.filter(lambda t: "'" not in t), max_size=6), st.integers(0, 3))
def test_lines_are_right_whatever_strings_and_comments_hold(texts: list[str], gap: int) -> None:
    from tempfile import TemporaryDirectory

    from soc.config.toml import TomlFile

    body = "".join(
        f'# [x] {text}\nk{number} = [\n  \'{text}\', # {text}\n"""\n[y]\n"""]\n' + "\n" * gap
        for number, text in enumerate(texts)
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "soc.toml"
        path.write_text(body + "last = 1\n", "utf-8", newline="")
        file = TomlFile(path)
        lines = body.count("\n") + 1
        assert file.place(("last",)) == f"{path}:{lines}"
        for number in range(len(texts)):
            assert file.place((f"k{number}",)) == f"{path}:{number * (6 + gap) + 2}"


def test_lines_of_nested_tables_inside_of_arrays_of_tables(tmp_path: Path) -> None:
    from soc.config.toml import TomlFile

    path = tmp_path / "x.toml"
    path.write_text(
        '[[a]]\nn = 1\n[a.b]\nm = 1\n[[a]]\n[a.b]\nm = { x = 1, "y z" = 2 }\n[[a.c]]\nk.l = 1\n'
    )
    file = TomlFile(path)
    wanted = {
        ("a", 0, "n"): 2,
        ("a", 0, "b"): 3,
        ("a", 0, "b", "m"): 4,
        ("a", 1, "b", "m", "y z"): 7,
        ("a", 1, "c", 0, "k", "l"): 9,
    }
    assert {key: file.place(key) for key in wanted} == {
        key: f"{path}:{line}" for key, line in wanted.items()
    }
