"""Where service and models meet: Celery tasks, the stages of a job, the processes that run them.

celery_app -> tasks -> shard_runner      the worker: claims shards, watches the child that runs them
child -> pipeline -> stages              the child: loads models, reads and writes the store, knows no SQL
reconciler                               takes back what was lost, rings for what waits
"""
