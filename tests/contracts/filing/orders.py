"""What each order does to a warehouse's database, and each question finds there: see warehouse."""

import hashlib
import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any

TYPE = re.compile(r"text(\([1-9][0-9]*\))?|whole|real|day|blob")
Database = sqlite3.Connection
Told = Mapping[str, Any]


class Refusal(Exception):
    """Codes: see warehouse."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


# Tables


def _create_table(database: Database, told: Told) -> None:
    columns = [(str(name), str(kind)) for name, kind in told["columns"]]
    if not columns or len(dict(columns)) < len(columns) or not all(TYPE.fullmatch(kind) for _, kind in columns):
        raise Refusal(400, f"no such columns: {columns}")
    try:
        made = database.execute("INSERT INTO tables (place, columns) VALUES (?, ?)", [_place(told["table"]), json.dumps(columns)])
    except sqlite3.IntegrityError:
        raise Refusal(409, f"there is a table {told['table']}") from None
    names = ", ".join(f"c{n}" for n in range(len(columns)))
    database.execute(f"CREATE TABLE data_{made.lastrowid} ({names})")
    for row in told.get("rows", ()):
        database.execute(f"INSERT INTO data_{made.lastrowid} VALUES ({', '.join('?' * len(columns))})", row)


def _drop_table(database: Database, told: Told) -> None:
    try:
        number, _ = _table(database, told["table"])
    except Refusal:
        if told.get("if there"):
            return
        raise
    database.execute(f"DROP TABLE data_{number}")
    for query in ("tables WHERE id", "carried WHERE of", "labels WHERE of"):
        database.execute(f"DELETE FROM {query} = ?", [number])


def _list_tables(database: Database, told: Told) -> list[Any]:
    """The first `most` tables of a database after a place."""
    places = sorted(json.loads(place) for (place,) in database.execute("SELECT place FROM tables"))
    after = told.get("after") or []
    return [place for place in places if place[0] == told["database"] and place > after][: told["most"]]


def _describe(database: Database, told: Told) -> list[Any]:
    """Those of the tables that are there, with everything that they carry."""
    return [_described(database, place) for place in told["tables"] if _number(database, place) is not None]


def _described(database: Database, place: Sequence[str]) -> dict[str, Any]:
    number, columns = _table(database, place)
    query = """SELECT col, carried.kind, thing, arguments, comment FROM carried
               JOIN things ON place = thing AND things.kind = carried.kind WHERE of = ?"""
    carried = [
        {"column": json.loads(column), "kind": kind, "name": json.loads(name), "given": json.loads(given), "comment": comment}
        for column, kind, name, given, comment in database.execute(query, [number])
    ]
    labels = database.execute("SELECT col, name, value FROM labels WHERE of = ? ORDER BY 1, 2", [number])
    found = [[json.loads(column), name, value] for column, name, value in labels]
    return {"table": place, "id": number, "columns": columns, "carries": carried, "labels": found}


def _read(database: Database, told: Told) -> list[Any]:
    """All rows, as the user sees them, or somebody who has just the roles `as`."""
    number, columns = _table(database, told["table"])
    own = [role for (role,) in database.execute("SELECT role FROM members WHERE user = ?", [told["by"]])]
    _lend_functions(database, set(told.get("as", own)))
    bodies = "SELECT kind, place, body FROM things"
    body = {(kind, place): body for kind, place, body in database.execute(bodies)}
    places = {name: f"c{n}" for n, (name, _) in enumerate(columns)}
    shown, rows = dict(places), "1"
    query = "SELECT col, kind, thing, arguments FROM carried WHERE of = ?"
    for where, kind, thing, arguments in database.execute(query, [number]).fetchall():
        given = ", ".join(f"{places[name]} AS a{n}" for n, name in enumerate(json.loads(arguments)))
        if kind == "screen":
            column = json.loads(where)
            shown[column] = f"(SELECT {body[kind, thing]} FROM (SELECT {places[column]} AS value))"
        else:
            rows = f"(SELECT {body[kind, thing]} FROM (SELECT {given}))"
    return database.execute(f"SELECT {', '.join(shown.values())} FROM data_{number} WHERE {rows} ORDER BY rowid").fetchall()


def _lend_functions(database: Database, roles: set[str]) -> None:
    """What bodies may call beside SQLite's own functions; of NULL each makes NULL."""
    lent: Mapping[str, tuple[int, Callable[..., Any]]] = {
        "holds": (1, lambda role: role in roles),
        "sha256_hex": (1, lambda text: hashlib.sha256(text.encode()).hexdigest()),
        "repeated": (2, lambda text, times: text * times),
        "last_place": (2, lambda text, part: text.rfind(part) + 1),
    }
    for name, (number, function) in lent.items():
        database.create_function(name, number, _strict(function))


def _strict(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given: None if None in given else function(*given)


# Screens and sieves


def _create(database: Database, told: Told) -> None:
    _check_body(told)
    values = [told["kind"], _place(told["name"]), json.dumps(told["takes"]), told["body"], told.get("comment")]
    try:
        database.execute("INSERT INTO things VALUES (?, ?, ?, ?, ?)", values)
    except sqlite3.IntegrityError:
        raise Refusal(409, f"there is a {told['kind']} {told['name']}") from None


def _change(database: Database, told: Told) -> None:
    """Body and comment; an order without a comment leaves none."""
    _check_body(told)
    if _takes(database, told["kind"], told["name"]) != told["takes"]:
        raise Refusal(400, f"the {told['kind']} {told['name']} takes something else")
    values = [told["body"], told.get("comment"), told["kind"], _place(told["name"])]
    database.execute("UPDATE things SET body = ?, comment = ? WHERE kind = ? AND place = ?", values)


def _drop(database: Database, told: Told) -> None:
    _takes(database, told["kind"], told["name"])
    if uses := _used(database, {"kind": told["kind"], "names": [told["name"]]}):
        raise Refusal(423, f"{told['name']} is used by {uses[0][1]}")
    database.execute("DELETE FROM things WHERE kind = ? AND place = ?", [told["kind"], _place(told["name"])])


def _list(database: Database, told: Told) -> list[Any]:
    """What a schema has, of both kinds: kind, name, body, comment."""
    found = database.execute("SELECT kind, place, body, comment FROM things ORDER BY 1, 2").fetchall()
    whole = [(kind, json.loads(place), *more) for kind, place, *more in found]
    return [[kind, place[2], *more] for kind, place, *more in whole if place[:2] == told["schema"]]


def _used(database: Database, told: Told) -> list[Any]:
    """Where things of a kind are carried: name, table, column (null: the table itself)."""
    query = "SELECT thing, place, col FROM carried JOIN tables ON id = of WHERE kind = ?"
    found = [[json.loads(part) for part in row] for row in database.execute(query, [told["kind"]])]
    return [row for row in found if row[0] in told["names"]]


def _check_body(told: Told) -> None:
    """That it is one expression over what it takes."""
    takes = told["takes"]
    names = ["value"] if told["kind"] == "screen" else [f"a{n}" for n in range(len(takes))]
    with closing(sqlite3.connect(":memory:")) as empty:
        _lend_functions(empty, set())
        try:
            empty.execute(f"SELECT ({told['body']}) FROM (SELECT {', '.join(f'NULL AS {name}' for name in names)})")
        except sqlite3.Error as error:
            raise Refusal(400, f"no expression over {names}: {error}") from None


# What tables carry


def _carry(database: Database, told: Told) -> None:
    """Screens onto columns, or a sieve onto a table (column null), each instead of what the order says is there."""
    number, columns = _table(database, told["table"])
    types = {name: kind.partition("(")[0] for name, kind in columns}
    for one in told["onto"]:
        takes = _takes(database, told["kind"], one["name"])
        given = one["given"] if told["kind"] == "sieve" else [one["column"]]
        if missing := set(given) - set(types):
            raise Refusal(404, f"there is no column {missing}")
        if [types[name] for name in given] != takes:
            raise Refusal(400, f"{one['name']} takes {takes}")
        _clear(database, number, told["kind"], one)
        values = [number, told["kind"], json.dumps(one["column"]), _place(one["name"]), json.dumps(given)]
        database.execute("INSERT INTO carried VALUES (?, ?, ?, ?, ?)", values)


def _take_off(database: Database, told: Told) -> None:
    number, _ = _table(database, told["table"])
    for one in told["from"]:
        if one["instead of"] is None:
            raise Refusal(400, "say what to take off")
        _clear(database, number, told["kind"], one)


def _clear(database: Database, number: int, kind: str, one: Told) -> None:
    where = "of = ? AND kind = ? AND col = ?"
    values = [number, kind, json.dumps(one["column"])]
    now = database.execute(f"SELECT thing FROM carried WHERE {where}", values).fetchone()
    if (json.loads(now[0]) if now else None) != one["instead of"]:
        raise Refusal(412, f"{one['column']} carries {now and now[0]}, not {one['instead of']}")
    database.execute(f"DELETE FROM carried WHERE {where}", values)


def _label(database: Database, told: Told) -> None:
    for number, column, name, value in _entries(database, told):
        database.execute("INSERT OR REPLACE INTO labels VALUES (?, ?, ?, ?)", [number, column, name, value])


def _unlabel(database: Database, told: Told) -> None:
    for number, column, name, _ in _entries(database, told):
        database.execute("DELETE FROM labels WHERE of = ? AND col = ? AND name = ?", [number, column, name])


def _entries(database: Database, told: Told) -> Iterable[tuple[int, str, str, str]]:
    number, columns = _table(database, told["table"])
    for column, name, value in told["entries"]:
        if column is not None and column not in {known for known, _ in columns}:
            raise Refusal(404, f"there is no column {column}")
        yield number, json.dumps(column), str(name), str(value)


def _roles(database: Database, told: Told) -> list[Any]:
    """Those of the roles that are there, with the number of their members."""
    query = "SELECT name, COUNT(user) FROM roles LEFT JOIN members ON role = name GROUP BY name ORDER BY name"
    return [[name, users] for name, users in database.execute(query) if name in told["names"]]


# Names


def _place(name: Any) -> str:
    if not isinstance(name, list) or len(name) != 3 or not all(isinstance(part, str) and part for part in name):
        raise Refusal(400, f"not a name of three parts: {name}")
    return json.dumps(name)


def _number(database: Database, name: Any) -> int | None:
    found = database.execute("SELECT id FROM tables WHERE place = ?", [_place(name)]).fetchone()
    return found[0] if found else None


def _table(database: Database, name: Any) -> tuple[int, list[list[str]]]:
    found = database.execute("SELECT id, columns FROM tables WHERE place = ?", [_place(name)]).fetchone()
    if not found:
        raise Refusal(404, f"there is no table {name}")
    return found[0], json.loads(found[1])


def _takes(database: Database, kind: str, name: Any) -> list[str]:
    found = database.execute("SELECT takes FROM things WHERE kind = ? AND place = ?", [kind, _place(name)]).fetchone()
    if not found:
        raise Refusal(404, f"there is no {kind} {name}")
    return list(json.loads(found[0]))


ORDERS: Mapping[str, Callable[[Database, Told], Any]] = {
    "create table": _create_table,
    "drop table": _drop_table,
    "create": _create,
    "change": _change,
    "drop": _drop,
    "carry": _carry,
    "take off": _take_off,
    "label": _label,
    "unlabel": _unlabel,
}
QUESTIONS: Mapping[str, Callable[[Database, Told], Any]] = {
    "list tables": _list_tables,
    "describe": _describe,
    "read": _read,
    "list": _list,
    "used": _used,
    "roles": _roles,
}
