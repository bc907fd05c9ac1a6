"""Shapes of what the API takes and answers, one file per noun; marshmallow only, so that they also document it."""
