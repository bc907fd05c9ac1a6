"""The Celery application. Workers import the tasks; whoever only sends them imports nothing else."""

import logging
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_process_init, worker_process_shutdown, worker_ready

from connectors import registry
from lily.runtime import aws_json, logs, memory, metrics
from lily.runtime.settings import settings

WITH_TASKS = ("inbound", "sweep", "propagation", "reconcile", "annotations", "backfill", "asset_update")

celery = Celery("lily", include=[f"tasks.{name}" for name in WITH_TASKS])
celery.config_from_object("celeryconfig")


@setup_logging.connect
def _configure_logs(**_: Any) -> None:
    logs.configure("worker")
    logging.getLogger("celery").setLevel(logging.WARNING)  # our own lines say what became of each event, at less cost


@worker_process_init.connect
def _child_started(**_: Any) -> None:
    """Make the clients now: the first event of a new process would otherwise wait most of a second for imports."""
    logs.configure("worker")
    logging.getLogger("celery").setLevel(logging.WARNING)
    aws_json.warm("dynamodb")
    aws_json.warm("events")
    for source in settings().sources.values():
        registry.source(source.kind).warm(source.name)
    memory.settle()


@worker_ready.connect
def _worker_started(**_: Any) -> None:
    """The same for the catalogs, whose workers are threads of one process."""
    aws_json.warm("dynamodb")
    for catalog in settings().catalogs.values():
        registry.catalog(catalog.kind).warm(catalog.name)


@worker_process_shutdown.connect
def _child_stops(**_: Any) -> None:
    metrics.flush()
