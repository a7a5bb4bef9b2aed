from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playbooks.condition import check, evaluate, names, parse
from playbooks.variables import Variable
from soc.errors import InputError

VARIABLES: Mapping[str, Variable] = {
    variable.name: variable
    for variable in (
        Variable("__n__", "integer"),
        Variable("__f__", "float"),
        Variable("__s__", "string"),
        Variable("__b__", "bool"),
        Variable("__a__", "ipv4-addr"),
    )
}
VALUES = {"__n__": "10", "__f__": "0.5", "__s__": "it's", "__b__": "true", "__a__": "10.0.0.7"}


def holds(text: str) -> bool:
    condition = parse(text)
    check(condition, VARIABLES)
    return evaluate(condition, VARIABLES, VALUES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[__n__:value = 10]", True),
        ("__n__:value == '10'", True),
        ("__n__:value != 10", False),
        ("__n__:value <> 9", True),
        ("__n__:value > 9", True),
        ("__n__:value >= 11", False),
        ("__n__:value < 9 OR __f__:value <= 0.5", True),
        ("__n__:value NOT = 10", False),
        ("__n__:value IN (1, 10, 100)", True),
        ("__n__:value NOT IN (1, 10)", False),
        (r"__s__:value = 'it\'s'", True),
        ("__b__:value = true", True),
        ("__a__:value ISSUBSET '10.0.0.0/8'", True),
        ("__a__:value ISSUBSET '2001:db8::/32'", False),
        ("__a__:value NOT ISSUBSET '10.0.0.0/8'", False),
        ("__a__:value ISSUPERSET '10.0.0.7'", True),
        # AND binds tighter than OR, whatever the order.
        ("__n__:value = 10 OR __n__:value = 1 AND __n__:value = 2", True),
        ("(__n__:value = 10 OR __n__:value = 1) AND __n__:value = 2", False),
        ("[__n__:value=10 and __f__:value=0.5]", True),
    ],
)
def test_a_condition_holds_or_not(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "__n__",
        "__n__:value",
        "__n__:value = ",
        "10 = __n__:value",
        "__n__:value LIKE '1%'",
        "__n__:value MATCHES '.*'",
        "EXISTS __n__:value",
        "[__n__:value = 1] FOLLOWEDBY [__n__:value = 2]",
        "[__n__:value = 1",
        "__n__:value = 1)",
        "__n__:value IN ()",
        "__n__:value = 'x",
        "__n__:value = x",
        "__n__:value = 1; rm",
        "file:name = 'x'",
        "__none__:value = 1",
        "__b__:value > true",
        "__a__:value < '10.0.0.9'",
        "__n__:value = 'ten'",
        "__a__:value ISSUBSET 'home'",
        "__a__:value = '010.0.0.7'",
        "(" * 50 + "__n__:value = 1" + ")" * 50,
        "__n__:value = 1 OR " * 200 + "__n__:value = 1",
    ],
)
def test_what_is_not_executed_or_does_not_fit_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        holds(text)


@given(st.text(alphabet="_n:value =<>!'()[],10ANDORINOT\\ \n", max_size=80))
def test_any_text_is_a_condition_or_an_input_error(text: str) -> None:
    try:
        found = parse(text)
    except InputError:
        return
    assert names(found)


def test_a_variable_without_a_value_is_an_error_and_not_false() -> None:
    with pytest.raises(InputError, match="no value"):
        evaluate(parse("__n__:value = 1"), VARIABLES, {})
