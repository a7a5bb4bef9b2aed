import sqlite3
from pathlib import Path

import pytest

from playbooks.journal import HEADS, NAME, Journal
from soc.audit.chain import parse_head
from soc.errors import InputError, StoreError
from tests.playbooks.kit import KEY, START


def filled(folder: Path, count: int = 10) -> None:
    with Journal(folder, KEY) as journal:
        for number in range(count):
            with journal.write() as writer:
                writer.record("test", f"run-{number % 3}", START, number=number)


def write_twice(journal: Journal, *numbers: object) -> None:
    with journal.write() as writer:
        for number in numbers:
            writer.record("test", "run-9", START, number=number)


def tamper(folder: Path, *statements: str) -> None:
    connection = sqlite3.connect(folder / NAME)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def broken(folder: Path, outside: str = "") -> int | None:
    with Journal(folder, KEY, read_only=True) as journal:
        found = journal.verify(parse_head(outside) if outside else None).broken
    return found.position if found else None


def head(folder: Path) -> str:
    with Journal(folder, KEY, read_only=True) as journal:
        found = journal.head()
    return found.text if found else ""


COPY = "INSERT INTO journal SELECT {}, previous, body, hash, seal FROM journal WHERE position = {}"


@pytest.mark.parametrize(
    ("statements", "position"),
    [
        (["UPDATE journal SET body = replace(body, ':4', ':5') WHERE position = 5"], 5),
        (["UPDATE journal SET body = body || ' ' WHERE position = 10"], 10),
        (["UPDATE journal SET previous = hash WHERE position = 3"], 3),
        (["UPDATE journal SET seal = hash WHERE position = 7"], 7),
        (["DELETE FROM journal WHERE position = 1"], 1),
        (["DELETE FROM journal WHERE position = 6"], 6),
        (
            [
                "DELETE FROM journal WHERE position = 6",
                "UPDATE journal SET position = position - 1 WHERE position > 6",
            ],
            6,
        ),
        (
            [
                "UPDATE journal SET position = -position WHERE position > 4",
                "UPDATE journal SET position = 1 - position WHERE position < 0",
                COPY.format(5, 2),
            ],
            5,
        ),
        (
            [
                "UPDATE journal SET position = 99 WHERE position = 4",
                "UPDATE journal SET position = 4 WHERE position = 5",
                "UPDATE journal SET position = 5 WHERE position = 99",
            ],
            4,
        ),
        (["DELETE FROM journal WHERE position > 8"], 9),
        (["DELETE FROM journal"], 1),
    ],
    ids=[
        "flip",
        "append",
        "relink",
        "seal",
        "first",
        "delete",
        "close the gap",
        "insert",
        "reorder",
        "cut",
        "empty",
    ],
)
def test_tampering_is_found_at_its_position(
    tmp_path: Path, statements: list[str], position: int
) -> None:
    filled(tmp_path)
    assert broken(tmp_path) is None
    tamper(tmp_path, *statements)
    assert broken(tmp_path) == position


def test_a_chain_computed_anew_without_the_key_is_found(tmp_path: Path) -> None:
    filled(tmp_path / "a")
    filled(tmp_path / "b", 4)
    forger = Journal(tmp_path / "b", b"x" * 32)
    with forger.write() as writer:
        writer.record("test", "run-1", START, number=4)
    forger.close()
    assert broken(tmp_path / "b") == 5


def test_a_cut_journal_is_not_written_on(tmp_path: Path) -> None:
    filled(tmp_path)
    tamper(tmp_path, "DELETE FROM journal WHERE position > 8")
    with pytest.raises(StoreError, match="cut off"):
        Journal(tmp_path, KEY)


def test_a_cut_of_journal_and_heads_is_found_by_a_head_kept_outside_only(tmp_path: Path) -> None:
    filled(tmp_path)
    outside = head(tmp_path)
    tamper(tmp_path, "DELETE FROM journal WHERE position > 8")
    lines = (tmp_path / HEADS).read_bytes().splitlines(keepends=True)
    (tmp_path / HEADS).write_bytes(b"".join(lines[:8]))
    assert broken(tmp_path) is None
    assert broken(tmp_path, outside) == 9


def test_cut_and_written_on_is_found(tmp_path: Path) -> None:
    filled(tmp_path)
    tamper(tmp_path, "DELETE FROM journal WHERE position > 8")
    saved = (tmp_path / HEADS).read_bytes()
    (tmp_path / HEADS).unlink()
    filled(tmp_path, 3)
    (tmp_path / HEADS).write_bytes(saved)
    assert broken(tmp_path) == 9


def test_a_forged_head_is_found_at_its_line(tmp_path: Path) -> None:
    filled(tmp_path)
    text = (tmp_path / HEADS).read_text("ascii")
    (tmp_path / HEADS).write_text(text.replace("\n6 ", "\n6 0", 1), "ascii")
    assert broken(tmp_path) == 6


@pytest.mark.parametrize("lost", [1, 50, 140, 400])
def test_heads_that_a_power_loss_took_are_written_again(tmp_path: Path, lost: int) -> None:
    filled(tmp_path)
    whole = (tmp_path / HEADS).read_bytes()
    (tmp_path / HEADS).write_bytes(whole[:-lost])
    assert broken(tmp_path) is None
    Journal(tmp_path, KEY).close()
    assert (tmp_path / HEADS).read_bytes() == whole


def test_heads_that_a_full_disk_did_not_take_are_written_first_next_time(tmp_path: Path) -> None:
    filled(tmp_path, 2)
    heads, aside = tmp_path / HEADS, tmp_path / "aside"
    with Journal(tmp_path, KEY) as journal:
        heads.rename(aside)
        heads.mkdir()  # nothing can be written there
        write_twice(journal, 1)  # the record is on disk: this has happened
        with pytest.raises(StoreError, match="refuses"):
            write_twice(journal, 2)
        heads.rmdir()
        heads.write_bytes(aside.read_bytes() + b"3 0123")  # half a line was taken
        write_twice(journal, 3)
        assert [record["number"] for record in journal.records("run-9")] == [1, 3]
    assert broken(tmp_path) is None
    assert len(heads.read_bytes().splitlines()) == 4


def test_records_that_this_node_did_not_write_are_not_believed(tmp_path: Path) -> None:
    filled(tmp_path, 1)
    insert = COPY.format(2, 1).replace(", seal", ", 'ab'")
    tamper(tmp_path, insert)
    with Journal(tmp_path, KEY) as journal, pytest.raises(StoreError, match="record 2"):
        list(journal.records())


def test_a_record_that_was_changed_is_not_acted_on(tmp_path: Path) -> None:
    filled(tmp_path, 3)
    tamper(tmp_path, "UPDATE journal SET body = replace(body, ':1', ':7') WHERE position = 2")
    with Journal(tmp_path, KEY) as journal, pytest.raises(StoreError, match="record 2"):
        list(journal.records("run-1"))


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    filled(tmp_path, 2)
    with Journal(tmp_path, KEY) as journal:
        for wrong in (object(), "\udcff"):
            with pytest.raises(InputError, match="cannot be written"):
                write_twice(journal, 1, wrong)
        assert len(list(journal.records())) == 2
        write_twice(journal, 1, 2)
        assert [record["position"] for record in journal.records("run-9")] == [3, 4]
    assert broken(tmp_path) is None


def test_reading_where_there_is_no_journal_makes_none(tmp_path: Path) -> None:
    assert broken(tmp_path / "none") is None
    assert not (tmp_path / "none").exists()


def test_a_damaged_journal_is_an_error_to_whoever_reads_it(tmp_path: Path) -> None:
    filled(tmp_path, 200)
    size = (tmp_path / NAME).stat().st_size
    with (tmp_path / NAME).open("r+b") as file:  # the schema is whole, what it leads to is not
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))
    with (
        pytest.raises(StoreError, match="cannot be used"),
        Journal(tmp_path, KEY, read_only=True) as journal,
    ):
        list(journal.records())


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"x" * 4096)
    with pytest.raises(StoreError, match="journal"):
        Journal(tmp_path, KEY)
