from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soc.audit.chain import Head, Record, follow, parse_head, seal, verify


def chain(bodies: list[bytes]) -> list[Record]:
    records: list[Record] = []
    last = None
    for body in bodies:
        record = follow(last, body)
        records.append(record)
        last = Head(record.position, record.hash)
    return records


def heads(records: list[Record]) -> dict[int, str]:
    return {record.position: record.hash for record in records}


TEN = chain([f"record {n}".encode() for n in range(10)])


def position(records: list[Record], noted: dict[int, str] | None = None) -> int | None:
    broken = verify(records, heads(TEN) if noted is None else noted).broken
    return broken.position if broken else None


def test_a_sound_chain_is_sound_with_and_without_heads() -> None:
    assert position(TEN) is None
    assert position(TEN, {}) is None
    assert verify(TEN, {}).sound == 10
    assert verify([], {}).broken is None


@given(st.integers(0, 9), st.integers(0, 7))
def test_a_flipped_bit_is_found_at_its_record(at: int, bit: int) -> None:
    body = bytearray(TEN[at].body)
    body[0] ^= 1 << bit
    assert position([*TEN[:at], replace(TEN[at], body=bytes(body)), *TEN[at + 1 :]], {}) == at + 1


@given(st.integers(0, 8))
def test_a_deleted_record_is_found_at_its_place(at: int) -> None:
    assert position([*TEN[:at], *TEN[at + 1 :]], {}) == at + 1


@given(st.integers(0, 8))
def test_renumbering_after_a_deletion_does_not_hide_it(at: int) -> None:
    moved = [replace(record, position=record.position - 1) for record in TEN[at + 1 :]]
    assert position([*TEN[:at], *moved], {}) == at + 1


@given(st.integers(0, 9))
def test_an_inserted_record_is_found_at_its_place(at: int) -> None:
    extra = follow(Head(TEN[at - 1].position, TEN[at - 1].hash) if at else None, b"forged")
    assert position([*TEN[:at], extra, *TEN[at:]], {}) == at + 2
    assert position([*TEN[:at], extra, *TEN[at:]]) == at + 1


@given(st.integers(0, 8))
def test_two_records_in_the_wrong_order_are_found(at: int) -> None:
    assert position([*TEN[:at], TEN[at + 1], TEN[at], *TEN[at + 2 :]], {}) == at + 1


@given(st.integers(0, 9))
def test_a_cut_tail_is_found_by_the_heads_only(kept: int) -> None:
    assert position(TEN[:kept]) == kept + 1
    assert position(TEN[:kept], {}) is None


@given(st.integers(0, 9), st.integers(1, 12))
def test_cut_and_written_on_is_found_at_the_cut(kept: int, more: int) -> None:
    forged = chain([record.body for record in TEN[:kept]] + [b"new"] * more)
    assert position(forged) == kept + 1


def test_a_recomputed_chain_is_found_by_a_head_kept_outside() -> None:
    forged = chain([record.body for record in TEN[:4]] + [b"other"] + [r.body for r in TEN[5:]])
    assert position(forged, {}) is None
    assert position(forged, {10: TEN[9].hash}) == 10


def test_the_seal_depends_on_key_and_head() -> None:
    head = Head(1, TEN[0].hash)
    assert seal(head, b"a") != seal(head, b"b")
    assert seal(head, b"a") != seal(Head(2, TEN[0].hash), b"a")
    assert parse_head(head.text + "\n") == head
    for text in ("", "1", "1:xyz", f"0:{'0' * 64}", f"-1:{'0' * 64}"):
        with pytest.raises(ValueError, match="head"):
            parse_head(text)
