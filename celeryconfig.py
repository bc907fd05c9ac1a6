"""Celery's settings: the broker, which queue does what, and what beat sends. Read by tasks.celery."""

from lily.runtime.settings import settings
from tasks import doors

broker_url = settings().redis_url
broker_connection_retry_on_startup = True
broker_connection_max_retries = None  # a worker never gives up; the default does after 100 tries
broker_transport_options = {
    "visibility_timeout": 120,  # no task runs over 60 s; what a dead worker held comes back after this, the sweep sooner
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_timeout": 5,  # the default waits for ever on a half-dead broker
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "retry_on_timeout": True,
    "max_retries": 1,  # of a sender, which would wait 6 s for a broker that refuses; workers go by the setting above
    "interval_start": 0,
    "interval_step": 0.05,
    "interval_max": 0.05,
    "health_check_interval": 5,
    "global_keyprefix": f"{settings().installation}:celery:",
}

task_serializer = "json"
accept_content = ["json"]
task_ignore_result = True  # results are in the records
task_acks_late = True
task_reject_on_worker_lost = False  # the lane's lease and the sweep repair sooner, and a killer would come back for ever
task_time_limit = 60
task_default_queue = "io"
task_routes = {name: {"queue": "inbound"} for name in ("ingest", "enrich", "store", "publish")}
task_send_sent_event = False
worker_send_task_events = True  # Flower shows what runs
worker_prefetch_multiplier = 4
worker_max_tasks_per_child = 5000
worker_max_memory_per_child = 300_000  # KiB
worker_hijack_root_logger = False
worker_cancel_long_running_tasks_on_connection_loss = False

_every_s = settings().sweep_every_s
beat_schedule = {"sweep": {"task": "sweep", "schedule": _every_s, "options": {"queue": "io", "expires": _every_s}}}
for _target in settings().targets.values():
    for _task, _every_s in (("refresh_inventory", _target.inventory_every_s), ("reconcile", _target.reconcile_every_s)):
        _options = {"queue": doors.queue_of(_target.name), "expires": _every_s}
        beat_schedule[f"{_task} {_target.name}"] = {
            "task": _task,
            "args": (_target.name,),
            "schedule": _every_s,
            "options": _options,
        }
for _catalog in settings().catalogs.values():
    beat_schedule[f"reread_tags {_catalog.name}"] = {
        "task": "reread_tags",
        "args": (_catalog.name,),
        "schedule": _catalog.reread_every_s,
        "options": {"queue": "io", "expires": _catalog.reread_every_s},
    }
beat_max_loop_interval = 5
timezone = "UTC"
