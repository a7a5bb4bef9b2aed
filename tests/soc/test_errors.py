"""An error says what, where and what to do next, and has the exit code of its kind."""

import pytest

from soc.errors import (
    Conflict,
    ContentError,
    Exit,
    InputError,
    Refused,
    SocError,
    StoreError,
    UsageError,
)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (UsageError, 2),
        (ContentError, 3),
        (InputError, 4),
        (StoreError, 5),
        (Conflict, 6),
        (Refused, 6),
        (SocError, 70),
    ],
)
def test_each_kind_has_its_exit_code(kind: type[SocError], code: int) -> None:
    assert kind("x").exit_code == code


def test_exit_codes_are_those_of_the_manual() -> None:
    assert {member.name: member.value for member in Exit} == {
        "DONE": 0,
        "FINDINGS": 1,
        "USAGE": 2,
        "CONTENT": 3,
        "INPUT": 4,
        "STORE": 5,
        "REFUSED": 6,
        "BUG": 70,
        "INTERRUPTED": 130,
    }


def test_an_error_is_one_line_and_leaves_out_what_it_does_not_know() -> None:
    assert str(InputError("no such file")) == "no such file"
    full = ContentError("unknown field 'ip'", where="x.yml:14", hint="source.ip")
    assert str(full) == "unknown field 'ip' | at x.yml:14 | try: source.ip"


def test_a_conflict_is_caught_as_a_store_error() -> None:
    with pytest.raises(StoreError):
        raise Conflict("somebody wrote first")
