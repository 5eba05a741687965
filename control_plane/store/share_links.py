"""Share links: addresses that show one result to whoever has them, until they end, and give it.

What is given is a bundle of redacted runs, which holds nothing else.
"""

import hashlib
import hmac
import json
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any, Literal, get_args

import sqlalchemy
from sqlalchemy import delete, or_
from sqlmodel import Session, col, func, select

from control_plane.domain.errors import ComeAgain, Conflict, NotFound, StoreError
from control_plane.domain.experiment import ExperimentDesign
from control_plane.domain.ids import is_id, new_id
from control_plane.domain.observations import Gauges
from control_plane.domain.redaction import HIDDEN_BY_LINK, OF_REQUESTS, SHOWABLE, Redaction
from control_plane.domain.result import Summary, Trial
from control_plane.domain.run import Run, State
from control_plane.domain.spec import Spec
from control_plane.store.audit_log import ACTOR, COMMAND_LINE, record_each
from control_plane.store.bundles import Bundle, bundle_of, digest_of
from control_plane.store.database import Database, engine, read_each, store_errors
from control_plane.store.mapping import (
    causes_text,
    environment_text,
    gauges_of,
    json_text,
    objectives_text,
    readable,
    tags_text,
    validity_text,
)
from control_plane.store.reader import whole_run
from control_plane.store.stored_experiments import whole_experiment
from control_plane.store.tables import (
    ExperimentArmRow,
    ExperimentRow,
    PinRow,
    RunFacts,
    RunRow,
    RunStream,
    RunTag,
    ShareLinkRow,
    StepMarkRow,
    StoredTable,
    TrialRow,
    TrialStream,
)

SharedKind = Literal["run", "comparison", "experiment", "trend"]

SHARED_DAYS, MOST_SHARED_DAYS = 30, 365
"""How long a link lasts unless somebody says otherwise, and at most."""

MOST_SHARE_LINKS = 1_000
ENDED_LISTED_DAYS = 90
"""For so long a link that has ended is still listed."""

MOST_KEPT_BYTES = 32_000_000

_MEASURING_S, _MAKING_S = 30.0, 2.0
_USE_NOTED_S = 60.0
_SECRET_BYTES = 24
_NO_DIGEST = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class ShareSubject:
    """What a link shows: the id of a run or an experiment, the query of a comparison, or a trend.

    That is the digest of its spec, with the query of its page behind a question mark.
    """

    kind: SharedKind
    subject: str
    title: str


@dataclass(frozen=True)
class ShareLink:
    """A link without its secret, which nobody knows any more.

    `shown` names what it does not hide. `used_at` is about when it was opened last.
    """

    id: str
    of: ShareSubject
    shown: tuple[str, ...]
    made_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    used_at: datetime | None

    @property
    def file_name(self) -> str:
        """What its files are called, without an ending."""
        return f"looplab-{self.of.kind}-{self.id}"

    def ended(self, now: datetime | None = None) -> str:
        """Return why it opens nothing any more: `revoked` or `expired`; empty while it does."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at <= (now or datetime.now(UTC)) else ""


class ShareLinks:
    """Makes, opens, lists and revokes share links. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def make_share_link(self, of: ShareSubject, shown: Sequence[str], days: int) -> str:
        """Return the token of a new link, of which a digest is kept alone.

        Raises Conflict where there are too many.
        """
        now, link_id = datetime.now(UTC), new_id()
        token = f"{link_id}{secrets.token_urlsafe(_SECRET_BYTES)}"
        row = ShareLinkRow(
            id=link_id,
            digest=_digest(token),
            kind=of.kind,
            subject=of.subject,
            title=of.title,
            shown=json.dumps(list(shown)),
            made_by=ACTOR.get(COMMAND_LINE).name,
            created_at=now,
            expires_at=now + timedelta(days=days),
        )
        with self._database.write() as session:
            _forget_ended(session, now)
            if (
                session.exec(select(func.count()).select_from(ShareLinkRow)).one()
                >= MOST_SHARE_LINKS
            ):
                raise Conflict(f"There are {MOST_SHARE_LINKS:,} share links: revoke some first.")
            session.add(row)
            record_each(session, "shared", [(of.subject, of.title)], of.kind)
        return token

    def open_share_link(self, token: str) -> ShareLink | None:
        """Return the link that a token opens; None for every token that opens none.

        All of those take the same time. When it was opened is noted once a minute.
        """
        link_id, given, now = token[:10], _digest(token), datetime.now(UTC)
        with self._database.read() as session:
            of_id = select(ShareLinkRow).where(ShareLinkRow.id == link_id)
            known = is_id(link_id)
            found = read_each(session, of_id, "share link", _with_digest) if known else []
        digest, link = found[0] if found else (_NO_DIGEST, None)
        same = hmac.compare_digest(digest.encode(), given.encode())
        if not same or link is None or link.ended(now):
            return None
        if link.used_at is None or (now - link.used_at).total_seconds() >= _USE_NOTED_S:
            # Reading goes on where nothing can be written.
            with suppress(StoreError), self._database.write() as session:
                session.get_one(ShareLinkRow, link_id).used_at = now
        return link

    def export_shared(
        self, file: Path, ids: Sequence[str], link: ShareLink, redaction: Redaction
    ) -> Bundle:
        """Write what a link shows as a bundle, without what it hides. Raises as `write_bundle`."""
        with self._database.read():
            written = bundle_of(self._database.held_uri(), file, ids)
        with store_errors(file):
            _hide_in(file, link, redaction)
        return replace(written, sha256=digest_of(file), size_bytes=file.stat().st_size)

    def shared_version(self, ids: Sequence[str], *, with_repeats: bool = False) -> str:
        """Return a digest that changes with what is told of runs and experiments of these ids.

        `with_repeats`: also with what is told of runs of equal work, which digests among the ids
        name too, of what is pinned, and of steps of their trends. No result is read, because those
        of finished runs stay.
        """
        arms = (
            select(ExperimentArmRow.run)
            .join(ExperimentRow, col(ExperimentRow.seq) == ExperimentArmRow.experiment)
            .where(col(ExperimentRow.id).in_(ids), col(ExperimentArmRow.run).is_not(None))
        )
        chosen = or_(col(RunRow.id).in_(ids), col(RunRow.seq).in_(arms))
        queries = [
            _columns("seq epoch title tags note", RunRow).where(chosen),
            _columns("id question sentence noise", ExperimentRow).where(
                col(ExperimentRow.id).in_(ids)
            ),
        ]
        if with_repeats:
            of_runs = select(RunRow.spec_digest).where(chosen, col(RunRow.spec_digest).is_not(None))
            digest, finished = col(RunRow.spec_digest), RunRow.state == State.FINISHED.value
            equal = or_(digest.in_(ids), digest.in_(of_runs))
            queries += [
                _columns("seq epoch title tags note", RunRow).where(equal, finished),
                _columns("name run experiment", PinRow),
                _columns("id baseline found place note made_by", StepMarkRow).where(
                    col(StepMarkRow.spec).in_(ids)
                ),
            ]
        with self._database.read() as session:
            told = [sorted(map(repr, session.connection().execute(query))) for query in queries]
        return _digest(repr(told))

    def share_links(self, of: tuple[SharedKind, str] | None = None) -> list[ShareLink]:
        """Return all links, or those of one result, the newest first."""
        query = select(ShareLinkRow).order_by(col(ShareLinkRow.created_at).desc())
        if of is not None:
            query = query.where(ShareLinkRow.kind == of[0], ShareLinkRow.subject == of[1])
        with self._database.read() as session:
            return read_each(session, query, "share link", _link_of)

    def revoke_share_link(self, link_id: str) -> None:
        """End a link; one that has ended stays as it is. Raises NotFound."""
        with self._database.write() as session:
            row = session.get(ShareLinkRow, link_id)
            if row is None:
                raise NotFound(f"There is no share link {link_id[:20]!r}.")
            if not _link_of(row).ended():
                row.revoked_at = datetime.now(UTC)
                record_each(session, "revoked", [(row.subject, row.title)], row.kind)


class SharedFiles:
    """Keeps the files of links that were made last, so that each is made once. Thread-safe."""

    def __init__(self, most_bytes: int = MOST_KEPT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._making = Lock()
        self._kept: dict[str, tuple[str, bytes]] = {}

    def file(self, name: str, digest: str, *, measuring: bool, make: Callable[[], bytes]) -> bytes:
        """Return the file of what has that digest; made one at a time and while nothing measures.

        Raises ComeAgain where it is not kept and cannot be made now.
        """
        known, kept = self._kept.get(name, ("", b""))
        if known == digest:
            return kept
        if measuring:
            raise ComeAgain("A run is measured now: the file can be made after it.", _MEASURING_S)
        if not self._making.acquire(blocking=False):
            raise ComeAgain("Another file is made now: ask again in a moment.", _MAKING_S)
        try:
            made = make()
            kept_now = {key: each for key, each in self._kept.items() if key != name}
            kept_now[name] = (digest, made)
            while sum(len(file) for _, file in kept_now.values()) > self._most_bytes:
                del kept_now[next(iter(kept_now))]
            self._kept = kept_now
        finally:
            self._making.release()
        return made


def _hide_in(file: Path, link: ShareLink, redaction: Redaction) -> None:
    """Write each run and experiment of a bundle anew, redacted; nothing else of it stays."""
    made = engine(file, begin="BEGIN", connections=1)
    try:
        with Session(made) as session, readable(link.of.subject, kind=link.of.kind):
            session.exec(delete(RunTag))
            for row in session.exec(select(RunRow)).all():
                _hide_in_run(session, row, link, redaction)
            for experiment in session.exec(select(ExperimentRow)).all():
                _hide_in_experiment(session, experiment, redaction)
            session.commit()
    finally:
        made.dispose()
    with closing(sqlite3.connect(file)) as written:
        written.execute("PRAGMA journal_mode=DELETE")
        written.execute("VACUUM")


def _hide_in_run(session: Session, row: RunRow, link: ShareLink, redaction: Redaction) -> None:
    run, facts = whole_run(session, row), session.get_one(RunFacts, row.seq)
    shown = redaction.run(run)
    environment = _environment_of(run, shown, link)
    row.title, row.tags, row.note = shown.title, tags_text(shown.tags), shown.note
    row.reason, row.given_name = shown.reason, shown.given_name
    row.configuration = redaction.text(row.configuration)
    row.machine = environment.get("hostname")
    row.origin = None
    session.add_all(RunTag(tag=tag, run=row.seq or 0) for tag in dict.fromkeys(shown.tags))
    facts.spec, facts.command = json_text(Spec, shown.spec), shown.command
    facts.environment = environment_text(environment)
    facts.validity = validity_text(shown.validity) if shown.validity else None
    facts.causes = causes_text(shown.causes) if facts.causes else None
    facts.objectives = objectives_text(shown.objectives)
    streams = select(RunStream).where(RunStream.run == row.seq).order_by(col(RunStream.place))
    for stream, summary in zip(session.exec(streams).all(), shown.streams, strict=True):
        stream.name, stream.summary = summary.name, json_text(Summary, summary)
    trials = select(TrialRow).where(TrialRow.run == row.seq).order_by(col(TrialRow.block))
    for trial, told in zip(session.exec(trials).all(), shown.trials, strict=True):
        trial.document = json_text(Trial, told)
        trial.gauges = json_text(Gauges, redaction.gauges(gauges_of(trial.gauges)))
    for part in session.exec(select(TrialStream).where(TrialStream.run == row.seq)).all():
        part.name = redaction.stream(part.name)
    session.flush()


def _environment_of(run: Run, shown: Run, link: ShareLink) -> dict[str, Any]:
    """Return the facts of a redacted run, with what the link hides.

    A hidden machine is told from those of other links, so that nobody takes two for one.
    """
    hidden: list[str] = [name for name in SHOWABLE if name not in link.shown]
    if (list(shown.spec.requests()), shown.spec.target) != (
        list(run.spec.requests()),
        run.spec.target,
    ):
        hidden.append(OF_REQUESTS)
    facts = {**(shown.environment or {}), HIDDEN_BY_LINK: hidden}
    if facts.get("hostname") and "hosts" not in link.shown:
        facts["hostname"] = f"{facts['hostname']} of link {link.id}"
    return facts


def _hide_in_experiment(session: Session, row: ExperimentRow, redaction: Redaction) -> None:
    shown = redaction.experiment(whole_experiment(session, row))
    row.question, row.sentence, row.confirms = shown.question, shown.sentence, ""
    row.document = json_text(ExperimentDesign, replace(shown.design, confirms=""))
    places = select(ExperimentArmRow).where(ExperimentArmRow.experiment == row.seq)
    arms = session.exec(places.order_by(col(ExperimentArmRow.place))).all()
    for arm, told in zip(arms, shown.arms, strict=True):
        arm.name = told.name


def _columns(names: str, table: type[StoredTable]) -> Any:
    return sqlalchemy.select(*(getattr(table, name) for name in names.split()))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _forget_ended(session: Session, now: datetime) -> None:
    before = now - timedelta(days=ENDED_LISTED_DAYS)
    old = or_(col(ShareLinkRow.expires_at) < before, col(ShareLinkRow.revoked_at) < before)
    session.exec(delete(ShareLinkRow).where(old))


def _with_digest(row: ShareLinkRow) -> tuple[str, "ShareLink"]:
    return row.digest, _link_of(row)


def _link_of(row: ShareLinkRow) -> ShareLink:
    kinds: dict[str, SharedKind] = {kind: kind for kind in get_args(SharedKind)}
    return ShareLink(
        id=row.id,
        of=ShareSubject(kinds[row.kind], row.subject, row.title),
        shown=tuple(json.loads(row.shown)),
        made_by=row.made_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        used_at=row.used_at,
    )
