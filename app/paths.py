"""What a path may hold. Ids that others gave (of incidents) hold anything, slashes first, last and doubled included."""

from flask import Flask
from werkzeug.routing import BaseConverter


class Anything(BaseConverter):
    """The rest of the path, whatever it is."""

    regex = r"[\s\S]+"
    part_isolating = False


def configure(app: Flask) -> None:
    app.url_map.converters["anything"] = Anything
    app.url_map.merge_slashes = False
