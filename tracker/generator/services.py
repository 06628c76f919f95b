"""Writing a synthetic ledger, and taking it out again: set-wise, in one transaction, under one recorded batch."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.apps import apps
from django.db import IntegrityError, connection, models
from django.db.models import NOT_PROVIDED, Q
from django.utils import timezone

from tracker.core.errors import BadInput
from tracker.core.services import recording
from tracker.generator.plan import Ledger, truth_text
from tracker.generator.tables import Ref, Settings, Table
from tracker.imports.models import ImportRun

logger = logging.getLogger(__name__)

NULL = r"\N"

# In an order in which nothing deleted is still needed; each with what marks a row as synthetic.
_BY_SOURCE = Q(source__kind="synthetic")
MARKS: tuple[tuple[str, Q], ...] = (
    ("ShipmentClaim", Q(shipment__is_synthetic=True)),
    ("Shipment", Q(is_synthetic=True)),
    ("LicenceItem", Q(licence__is_synthetic=True)),
    ("Licence", Q(is_synthetic=True)),
    ("ClosedBook", Q(is_synthetic=True)),
    ("BalancePlug", Q(is_synthetic=True)),
    ("ClaimConflict", Q(claim__is_synthetic=True) | Q(other__is_synthetic=True)),
    ("Claim", Q(is_synthetic=True)),
    ("SitePower", Q(data_center__is_synthetic=True)),
    ("DataCenterStatus", Q(data_center__is_synthetic=True)),
    ("DataCenterPart", Q(whole__is_synthetic=True) | Q(part__is_synthetic=True)),
    ("DataCenterUser", Q(data_center__is_synthetic=True)),
    ("DataCenter", Q(is_synthetic=True)),
    ("ChipFamilyMember", Q(family__vendor__is_synthetic=True)),
    ("ChipFamily", Q(vendor__is_synthetic=True)),
    ("ChipSpecification", _BY_SOURCE),
    ("Chip", Q(vendor__is_synthetic=True)),
    ("OwnershipStake", _BY_SOURCE),
    ("ListEntry", _BY_SOURCE),
    ("Alias", Q(organization__is_synthetic=True)),
    ("Organization", Q(is_synthetic=True)),
    ("Source", Q(kind="synthetic")),
)


@dataclass(frozen=True, slots=True)
class Generated:
    """What a generation wrote: its import run's key, rows by model, the truth file's text."""

    key: str
    rows: dict[str, int]
    truth: str


def generate(settings: Settings, actor: str) -> Generated:
    """Write the ledger of ``settings``, all of it or nothing, and keep its truth with the import run.

    Raises:
        BadInput: a ledger of this seed is there already, or it is too small for its leaks.
    """
    _refuse_twice(settings)
    started = timezone.now()
    key = f"generate-{settings.seed}-{settings.lines}-{started:%Y%m%dT%H%M%S%f}"
    logger.info("generation %s starts", key)
    ledger = Ledger(settings)
    rows: dict[str, int] = {}
    with recording(actor, reason=settings.title, batch=key), connection.cursor() as cursor:
        # Keys are checked table by table: checks put off to the end would pile up in the server's memory.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        writer = _Writer(cursor)
        for table in ledger.tables():
            writer.write(table)
            rows[table.model] = rows.get(table.model, 0) + table.count
        truth = ledger.truth()
        text = truth_text(truth)
        ImportRun.objects.create(
            key=key, what=f"{settings.title}, {settings.lines:,} lines", sha256=hashlib.sha256(text.encode()).hexdigest(),
            actor=actor, status=ImportRun.Status.LOADED, started_at=started, finished_at=timezone.now(),
            counts={"rows": rows, "truth": truth},
        )  # fmt: skip
    logger.info("generation %s ends with %s", key, rows)
    return Generated(key, rows, text)


def _refuse_twice(settings: Settings) -> None:
    if _model("Source")._default_manager.filter(slug=settings.slug("ledger")).exists():
        raise BadInput(
            f"A synthetic ledger of seed {settings.seed} is there already; take it out with --remove, or give another --seed."
        )


def remove(actor: str) -> dict[str, int]:
    """Delete every synthetic record; their versions stay in the history. Returns the rows deleted by model.

    Raises:
        BadInput: a record that is not synthetic rests on a synthetic one.
    """
    gone: dict[str, int] = {}
    try:
        with recording(
            actor, reason="synthetic records removed", batch=f"remove-{timezone.now():%Y%m%dT%H%M%S%f}"
        ):
            for name, marked in MARKS:
                model = _model(name)
                chosen = model._default_manager.filter(
                    pk__in=model._default_manager.filter(marked).values("pk")
                )
                if count := chosen._raw_delete(using="default"):
                    gone[name] = count
            with connection.cursor() as cursor:
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except IntegrityError as error:
        raise BadInput(
            f"Nothing was removed, because a record that is not synthetic rests on a synthetic one: {str(error).splitlines()[-1]}"
        ) from error
    return gone


def _model(name: str) -> type[models.Model]:
    return apps.get_model("tracker", name)


class _Writer:
    """Copies tables into the database; knows under which ids the rows written so far are found."""

    def __init__(self, cursor: Any) -> None:
        self.cursor = cursor
        self.ids: dict[str, np.ndarray] = {}

    def write(self, table: Table) -> None:
        """Copy the rows. Ids are drawn from the table's own sequence, so that rows can point at one another."""
        model = _model(table.model)
        new = self._new_ids(model, table.count)
        before = self.ids.get(table.model, np.empty(0, np.int64))
        self.ids[table.model] = np.concatenate([before, new])
        names, template, columns = ["id"], ["%s"], [new.tolist()]
        for field in model._meta.concrete_fields:
            if field.primary_key or (
                field.name not in table.columns and field.db_default is not NOT_PROVIDED
            ):
                continue
            names.append(str(field.column))
            value = table.columns.get(field.name, field.get_default())
            if isinstance(value, (Ref, np.ndarray, list)):
                template.append("%s")
                columns.append(self._texts(value))
            else:
                template.append(_text(value).replace("%", "%%"))
        if unknown := table.columns.keys() - {field.name for field in model._meta.concrete_fields}:
            raise LookupError(f"{table.model} has no column {sorted(unknown)}")
        self._copy(model, names, "\t".join(template) + "\n", zip(*columns, strict=True))

    def _new_ids(self, model: type[models.Model], count: int) -> np.ndarray:
        self.cursor.execute(
            "SELECT nextval(pg_get_serial_sequence(%s, 'id')) FROM generate_series(1, %s)",
            [model._meta.db_table, count],
        )
        return np.fromiter((row[0] for row in self.cursor.fetchall()), np.int64, count)

    def _copy(
        self, model: type[models.Model], names: list[str], template: str, rows: Iterator[tuple]
    ) -> None:
        columns = ", ".join(f'"{name}"' for name in names)
        with self.cursor.copy(f'COPY "{model._meta.db_table}" ({columns}) FROM STDIN') as copy:
            copy.write("".join(map(template.__mod__, rows)))

    def _texts(self, value: Ref | np.ndarray | list[Any]) -> list[Any]:
        """A column as COPY reads it; whole columns at a time, never row by row through the ORM."""
        if isinstance(value, Ref):
            known = np.append(self.ids[value.model].astype(object), NULL)
            return known[value.places].tolist()
        if isinstance(value, list):
            return [_text(item) for item in value]
        if value.dtype.kind == "M":
            return np.where(np.isnat(value), NULL, np.datetime_as_string(value)).tolist()
        if value.dtype.kind == "f":
            texts = value.astype(object)
            texts[np.isnan(value)] = NULL
            return texts.tolist()
        if value.dtype.kind == "b":
            return np.array(["f", "t"])[value.astype(np.int8)].tolist()
        return value.tolist()


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _text(value: Any) -> str:
    """One value as COPY reads it."""
    if value is None:
        return NULL
    if isinstance(value, bool):
        return "t" if value else "f"
    return str(value).translate(_ESCAPES)
