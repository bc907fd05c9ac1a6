"""The Celery application. Workers import the tasks; whoever only sends them imports nothing else."""

from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_process_init, worker_process_shutdown

from lily.runtime import logs, metrics

celery = Celery("lily", include=["tasks.inbound", "tasks.sweep"])
celery.config_from_object("celeryconfig")


@setup_logging.connect
def _configure_logs(**_: Any) -> None:
    logs.configure("worker")


@worker_process_init.connect
def _child_started(**_: Any) -> None:
    logs.configure("worker")


@worker_process_shutdown.connect
def _child_stops(**_: Any) -> None:
    metrics.flush()
