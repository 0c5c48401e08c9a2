"""Keys and quotas work on SQLite and on PostgreSQL, as the stores of jobs do."""

from tests.service.jobs.conftest import database, empty_database, postgres_database

__all__ = ["database", "empty_database", "postgres_database"]
