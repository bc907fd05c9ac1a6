"""Names that break what puts SQL together carelessly, and beside each a twin that a careless reader takes for it.

All are names that an object may have where any 1 to 255 characters but NUL are allowed; IMPOSSIBLE holds what no object has.
"""

import unicodedata
from itertools import chain, product

NAME_MAX = 255

SIGNS = (
    '"', '""', "'", "''", "`", "``", ".", '"."', "`.`", ";", ";;", "--", "-- ", "//", "/*", "*/", "/**/", "#", "\\", "\\\\",
    "\\'", '\\"', "\\n", "\\x27", "\\u0022", "$", "$$", "$$;$$", "$1", ":1", "?", "%", "%s", "%(a)s", "{}", "{{a}}", "${a}",
    "@", "&", "|", "=", "=>", "->", "::", "(", ")", "[", "]", ",", "*", "~", "^", "!", "<", ">", "+", "\n", "\r", "\r\n", "\t",
    "\v", "\f", " ", "  ", "\x01", "\x08", "\x1b", "\x7f", "\x85",
)  # fmt: skip
INJECTIONS = (
    "'; DROP TABLE T; --", '"; DROP TABLE T; --', "`; DROP TABLE T; --", "\\'; DROP TABLE T; --", '\\"; DROP TABLE T; --',
    '" SET MASKING POLICY X --', '" UNSET MASKING POLICY, COLUMN "B', 'T" MODIFY COLUMN "A', "' COMMENT = 'x", '" USING ("',
    "$$; DROP TABLE T; $$", "*/ DROP TABLE T; /*", "a/*b*/c", "a--b\nc", "a//b\nc", "a#b\nc", "END; DROP TABLE T; BEGIN",
    "' OR '1'='1", "') OR TRUE OR IS_ROLE_IN_SESSION('PUBLIC", "') OR is_account_group_member('x", "1; SELECT 1", "../..",
    "%2e%2e%2f", "a/b", "a?b=c", "a%2Eb", "https://a.example/", "lily:00000000000000000000000000000000:x", "EXEC sp_who",
    "X' THEN V ELSE V END --", 'A" VARCHAR) RETURNS VARCHAR -> V --', "<script>", "&amp;", "=1+1", "NaN", "0x41", "1e5", "007",
    "-1", "None", "undefined", '{"a": 1}', "[1]", "a\\0b",
)  # fmt: skip
WORDS = (
    "select", "table", "column", "from", "where", "null", "true", "false", "user", "role", "public", "tag", "masking policy",
    "row access policy", "database", "schema", "view", "order", "group", "by", "set", "unset", "drop", "alter", "create", "grant",
    "account", "default", "identifier", "current_role", "information_schema", "accountadmin", "values", "case", "end", "like",
    "account users", "users", "main", "system",
)  # fmt: skip
LETTERS = (
    "\u00e9", "\u00c5", "\u1e9b\u0323", "\uac00", "\u0958", "\u2126", "\u212b", "\ufb01", "\u017f", "\u00df", "\u1e9e", "\u0130",
    "\u0131", "\u01c5", "\u03c3", "\u03c2", "\u212a", "\uff21", "\u00b5", "\u0390", "\u1fd3", "\u0345", "\u00e4\u00f6\u00fc",
    "\u0928\u093f", "\u05e9\u05c1", "\u0627\u0644", "\u6f22\u5b57", "\u30d1", "\u0438\u0306", "\u0430",
)  # fmt: skip
UNSEEN = (
    "\u00a0", "\u00ad", "\u034f", "\u061c", "\u115f", "\u180e", "\u2000", "\u200b", "\u200c", "\u200d", "\u200e", "\u200f",
    "\u2028", "\u2029", "\u202e", "\u2060", "\u2066", "\u3000", "\ufeff", "\ufffd", "\uffff", "\U000e0041", "\U0010ffff",
    "\ue000",
)  # fmt: skip
EMOJI = (
    "\U0001f600", "\U0001f469\u200d\U0001f4bb", "\U0001f1e9\U0001f1ea", "\U0001f44d\U0001f3fd", "\u2764\ufe0f", "\u2764",
    "1\ufe0f\u20e3", "\U0001fae8",
)  # fmt: skip
LOOKALIKES = (
    "\u02bc",
    "\u2019",
    "\u201d",
    "\uff02",
    "\uff07",
    "\u037e",
    "\uff1b",
    "\u2024",
    "\uff0e",
    "\uff3c",
    "\u2215",
    "\u2010",
)
LONG = ('"', "'", "`", "\\", "x", ".", " ", ";", "\n", "\u00e9", "e\u0301", "\U0001f600", "$$", "--", "\u0130")
IMPOSSIBLE = ("", "\x00", "a\x00b", "x" * (NAME_MAX + 1), "\U0001f600" * (NAME_MAX + 1))


def _all() -> list[str]:
    signs = (f"{before}{sign}{after}" for sign, (before, after) in product(SIGNS, (("", ""), ("a", "b"), ("", "b"))))
    words = (form for word in WORDS for form in (word, word.upper(), word.title()))
    letters = (form for text in LETTERS for form in (text, *(unicodedata.normalize(f, text) for f in ("NFC", "NFD"))))
    cases = (form for text in ("customer", "straße", "ǆ", "ﬁ") for form in (text, text.upper(), text.title(), text.casefold()))
    placed = (f"{before}{sign}{after}" for sign in (*UNSEEN, *LOOKALIKES) for before, after in (("a", "b"), ("", "")))
    long = ((text * NAME_MAX)[:NAME_MAX] for text in LONG)
    return list(dict.fromkeys(chain(INJECTIONS, long, EMOJI, cases, letters, placed, words, signs)))


HOSTILE = tuple(_all())


def twin(name: str) -> str:
    """Another name: the other normal form, else the other case, else trimmed, unquoted, or a character shorter or longer."""
    otherwise = (
        unicodedata.normalize("NFC", name),
        unicodedata.normalize("NFD", name),
        name.swapcase(),
        name.strip(),
        name.replace('"', "").replace("`", "").replace("\\", ""),
        name[:-1],
    )
    return next((other for other in otherwise if other != name and 1 <= len(other) <= NAME_MAX), f"{name}{name}")
