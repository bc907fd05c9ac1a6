"""`python -m app.cli`. What Lily's own code logs goes to stderr here: stdout is for results."""

import sys

import structlog

from app.cli import cli

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
cli(prog_name="lily")
