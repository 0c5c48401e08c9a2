"""The rows of uploads, datasets and the generators that were imported or trained."""

from collections.abc import Sequence

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Table,
    func,
    insert,
    select,
    true,
    tuple_,
    update,
)
from sqlalchemy.exc import IntegrityError

from service.catalogue import GeneratorCard, find_generator
from service.errors import DatasetNotReady, NotFound, UploadIncomplete
from service.jobs.database import Database, database_now
from service.jobs.job import DatasetState
from service.jobs.quotas import take_bytes
from service.jobs.records import OPEN_UPLOAD_STATES, Dataset, Upload
from service.jobs.tables import LOCAL_TENANT, datasets, generators, incoming_uploads, uploads


class Library:
    """Of one tenant, whose rows alone it knows; or of the machinery (None), which sees those of all."""

    def __init__(self, database: Database, tenant: str | None = None) -> None:
        self.database = database
        self.tenant = tenant

    def add_upload(
        self, upload_id: str, filename: str, size_bytes: int, sha256: str, most_bytes: int = 0
    ) -> Upload:
        """`most_bytes`: what the tenant may keep; 0 for any number.

        Raises:
            StorageQuotaExceeded: it is more than that with this one.
        """
        tenant = self.tenant or LOCAL_TENANT
        with self.database.writing() as connection:
            take_bytes(connection, tenant, size_bytes, most_bytes)
            connection.execute(
                insert(uploads).values(
                    id=upload_id,
                    tenant=tenant,
                    filename=filename,
                    size_bytes=size_bytes,
                    sha256=sha256,
                    created_at=database_now(),
                )
            )
        return self.upload(upload_id)

    def upload(self, upload_id: str) -> Upload:
        with self.database.reading() as connection:
            query = select(uploads).where(uploads.c.id == upload_id, self._is_mine(uploads))
            row = connection.execute(query).mappings().first()
            if row is None:
                self._refuse_incomplete(connection, upload_id)
        if row is None:
            raise NotFound("upload", upload_id)
        return Upload(**row)

    def dataset(self, dataset_id: str) -> Dataset:
        with self.database.reading() as connection:
            query = select(datasets).where(datasets.c.id == dataset_id, self._is_to_be_seen())
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFound("dataset", dataset_id)
        return _as_dataset(row)

    def ready_dataset(self, dataset_id: str) -> Dataset:
        dataset = self.dataset(dataset_id)
        if dataset.state is not DatasetState.READY:
            raise DatasetNotReady(dataset_id, dataset.state)
        return dataset

    def datasets(self, limit: int, after: tuple[float, str] | None) -> list[Dataset]:
        """Newest first."""
        newest = (datasets.c.created_at.desc(), datasets.c.id.desc())
        query = select(datasets).where(self._is_to_be_seen()).order_by(*newest).limit(limit)
        if after is not None:
            query = query.where(tuple_(datasets.c.created_at, datasets.c.id) < tuple_(*after))
        with self.database.reading() as connection:
            return [_as_dataset(row) for row in connection.execute(query).mappings()]

    def reserve_generators(self, names: Sequence[str], is_shared: bool = False) -> int:
        """The next version that is free for all these names; nobody else is given it. One that is shared is
        for every tenant.
        """
        owner = None if is_shared else self.tenant
        while True:
            try:
                with self.database.writing() as connection:
                    newest = connection.scalar(
                        select(func.max(generators.c.version)).where(generators.c.name.in_(names))
                    )
                    version = int(newest or 0) + 1
                    rows = [{"name": name, "version": version} for name in names]
                    connection.execute(
                        insert(generators).values(tenant=owner, created_at=database_now()), rows
                    )
                    return version
            except IntegrityError:
                continue  # another submission was quicker

    def add_generator(self, card: GeneratorCard) -> None:
        """Fills a reserved version. A card never changes: a repeated publishing adds nothing."""
        with self.database.writing() as connection:
            connection.execute(
                update(generators)
                .where(
                    generators.c.name == card.name,
                    generators.c.version == card.version,
                    generators.c.card.is_(None),
                )
                .values(card=card.to_json())
            )

    def made_generators(self) -> list[GeneratorCard]:
        """Those that were imported or trained here, and that this tenant may use."""
        query = (
            select(generators.c.card)
            .where(generators.c.card.is_not(None), self._is_mine(generators) | generators.c.tenant.is_(None))
            .order_by(generators.c.name, generators.c.version)
        )
        with self.database.reading() as connection:
            return [GeneratorCard(**card) for card in connection.scalars(query)]

    def generator(self, reference: str) -> GeneratorCard:
        return find_generator(reference, self.made_generators())

    def _refuse_incomplete(self, connection: Connection, upload_id: str) -> None:
        table = incoming_uploads
        is_open = (table.c.id == upload_id) & table.c.state.in_(list(OPEN_UPLOAD_STATES))
        row = connection.execute(select(table).where(is_open, self._is_mine(table))).first()
        if row is not None:
            raise UploadIncomplete(upload_id, row.offset_bytes, row.size_bytes)

    def _is_to_be_seen(self) -> ColumnElement[bool]:
        return self._is_mine(datasets) & (datasets.c.state != DatasetState.DELETED)

    def _is_mine(self, table: Table) -> ColumnElement[bool]:
        return true() if self.tenant is None else table.c.tenant == self.tenant


def _as_dataset(row: RowMapping) -> Dataset:
    return Dataset(**{**row, "state": DatasetState(row["state"])})
