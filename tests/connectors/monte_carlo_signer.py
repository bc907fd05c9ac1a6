"""Signs bodies as Monte Carlo's documentation says, on whichever CPython from 3.7 on runs it, and prints the signatures.

    for python in python3.7 ... python3.13; do $python tests/connectors/monte_carlo_signer.py; done
    python tests/connectors/monte_carlo_signer.py unicodedata2      # for each version of that package from 16.0 on

made tests/connectors/monte_carlo_signatures.jsonl: one line per Python, or per set of Unicode tables of a Python that is
still to come; the signatures in the order of BODIES.
"""

import hashlib
import hmac
import importlib
import json
import sys
import unicodedata
from urllib.parse import quote_plus, urlencode

SECRET = "one secret for all Pythons"
BODIES = [
    r'{"payload": {"a": "\ud83e\udece"}}',  # U+1FACE, Unicode 15.0: Python 3.12
    # one of each of the versions 12.1, 13.0, 14.0, 15.0, 15.1, 16.0, 17.0, 18.0
    r'{"payload": {"a": "\ud83e\udd7b \ud83e\udec0 \ud83e\udee0 \ud83e\udece \u2ffc \ud83e\udee9 \ud83e\udecd \ud83e\udecc"}}',
    r'{"payload": {"14.0": "\ud83e\udee0", "16.0": "\ud83e\udee9", "never": "\u0378", "private": "\ue000"}}',
    r'{"a": "\ud83e\udece", "b": ["\ud83e\udece", {"\ud83e\udee0": null}]}',
    r'{"a": ["C:\\Users \\U0001face \\\ud83e\udece", "\\u2ffc\u2ffc"]}',
    r"""{"a": ["'\ud83e\udece\"", "\n\t\r\u0000\u007f\u00a0\u200b\ufeff\u2028"]}""",
    r"""{"a": "['\ud83e\udece']", "c": true, "d": 1.50, "e": 1e400, "f": -0.0, "g": 12345678901234567, "\ud83e\udece": null}""",
    r'{"list": [], "empty": {}, "deep": [[[{"x": [null, false, "\u00e9\u4e00\ud83d\ude00"]}]]]}',
    r'{"a": 1, "b": [2], "a": "\u00fcber & = % + / ~ ", "c": "\\ud83e"}',
    r'{"surrogate": ["\ud83e"], "text": "\u061d\u1c80\u0558\ua7cb", "nested": ["\u061d\u1c80\u0558\ua7cb"]}',
]


def sign(signed_text, secret):
    return hmac.new(secret.encode(), signed_text.encode("utf-8"), hashlib.sha512).hexdigest()


def signed_text(body, is_printable):
    """What `urlencode(body)` is on a Python whose `repr` leaves the characters as they are for which `is_printable` holds."""
    pairs = []
    for key, value in body.items():
        text = representation(value, is_printable) if isinstance(value, (dict, list)) else str(value)
        pairs.append(quote_plus(key) + "=" + quote_plus(text))
    return "&".join(pairs)


def representation(value, is_printable):
    if isinstance(value, dict):
        pairs = [representation(k, is_printable) + ": " + representation(v, is_printable) for k, v in value.items()]
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(representation(item, is_printable) for item in value) + "]"
    if not isinstance(value, str):
        return repr(value)
    quote = '"' if "'" in value and '"' not in value else "'"
    return quote + "".join(_character(char, quote, is_printable) for char in value) + quote


def _character(char, quote, is_printable):
    if char in ("\\", quote):
        return "\\" + char
    if is_printable(char):
        return char
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    code = ord(char)
    width = ("x", 2) if code < 0x100 else ("u", 4) if code < 0x10000 else ("U", 8)
    return named.get(char) or "\\{}{:0{}x}".format(width[0], code, width[1])


def _print_signatures():
    if len(sys.argv) > 1:
        tables = importlib.import_module(sys.argv[1])
        python = "a Python with the tables of " + sys.argv[1]
        texts = [signed_text(json.loads(body), lambda c: c == " " or tables.category(c)[0] not in "CZ") for body in BODIES]
    else:
        tables, python = unicodedata, sys.version.split()[0]
        texts = [urlencode(json.loads(body)) for body in BODIES]
    signatures = [sign(text, SECRET) for text in texts]
    sys.stdout.write(json.dumps({"python": python, "unicode": tables.unidata_version, "signatures": signatures}) + "\n")


if __name__ == "__main__":
    _print_signatures()
