"""What an attacker could put where a name is expected."""

USERS = [
    "*",
    "*)(uid=*",
    "an.nguyen)(uid=*",
    "an.nguyen\0",
    "an.nguyen\n",
    " an.nguyen",
    "an.nguyen ",
    "\uff41n.nguyen",  # full-width a, which LDAP's own string preparation makes an a
    "an.nguyen\u200b",
    "\u212ahoa",  # the Kelvin sign, an ASCII k in small letters
    "а\u006e.nguyen",  # a Cyrillic a
    "uid=an.nguyen,dc=city,dc=example",
    "-x",
    "$(id)",
    "\\2a",
    "a" * 10_240,
    "",
]
