"""Connectors by kind."""

import subprocess
import sys

import pytest

from connectors import monte_carlo, registry


def test_a_source_is_found_by_its_kind():
    assert registry.source("monte-carlo") is monte_carlo


def test_an_unknown_kind_is_refused_with_the_kinds_that_there_are():
    with pytest.raises(LookupError, match=r"'soda'.*monte-carlo"):
        registry.source("soda")


def test_every_registered_source_can_be_loaded():
    for kind in registry.SOURCES:
        assert registry.source(kind).documentation


def test_the_registry_itself_loads_no_connector():
    program = "import sys, connectors.registry; print(*(name for name in sys.modules if name.startswith('connectors.')))"

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert set(loaded.stdout.split()) == {"connectors.registry", "connectors.contracts"}
