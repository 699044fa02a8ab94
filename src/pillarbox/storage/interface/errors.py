"""what can go wrong in storage, in words that do not name an engine"""

from __future__ import annotations

from pillarbox.terms.errors import PillarboxError, Trouble


class StorageTrouble(Trouble):
    """The store did not answer; nothing was changed."""

    code = "storage_unavailable"


class StorageFull(StorageTrouble):
    """There is no room left to store it; nothing was changed."""

    code = "storage_full"


class StorageBroken(StorageTrouble):
    """The disk reported an error; this process must stop and be started again.

    A failed fsync cannot be retried: the kernel has already forgotten the pages.
    """

    code = "storage_broken"


class LeaseLost(StorageBroken):
    """Another node has taken over what this one held, because it gave no sign of life in time.

    What is still in memory here belongs to the other one now, and must not be sent.
    """

    code = "lease_lost"


class Unstorable(PillarboxError):
    """A value that no store can hold: refused alone, its neighbours are committed."""

    code = "invalid_value"


class Conflict(PillarboxError):
    """Something of this name or key exists already."""

    code = "already_exists"


class NotFound(PillarboxError):
    """There is no such thing."""

    code = "not_found"


class AlreadyPaid(PillarboxError):
    """The obligation this message would pay was paid before; nothing was stored."""

    code = "already_exists"


class AlreadyRecovered(PillarboxError):
    """Somebody else has freed, or ended, or is, what was to be taken over; nothing was changed."""

    code = "already_exists"


class Repeated(PillarboxError):
    """A call with this idempotency key was taken before; nothing was stored again."""

    code = "idempotency_conflict"

    def __init__(self, message: int, digest: bytes) -> None:
        """`message` is the id given then, `digest` that of the content given then."""
        super().__init__()
        self.message = message
        self.digest = digest


class RecipientsTaken(PillarboxError):
    """Some recipients were taken under this key before; nothing was stored again."""

    code = "idempotency_conflict"

    def __init__(self, taken: dict[bytes, int]) -> None:
        """`taken` gives the message by which each was taken, by its mark."""
        super().__init__()
        self.taken = taken


class LimitReached(PillarboxError):
    """All that a limit grants for this period has been used; nothing was taken."""

    code = "quota_exceeded"

    def __init__(self, limit: bytes, most: int, spent: int, ends_at: int) -> None:
        """`limit` is its name, `spent` what was used before this; the period ends at `ends_at`."""
        super().__init__()
        self.limit = limit
        self.most = most
        self.spent = spent
        self.ends_at = ends_at


class DataDirLocked(PillarboxError):
    """Another process owns this data directory."""

    code = "data_dir_locked"


class NodeRunning(PillarboxError):
    """A node of this name is running already."""

    code = "node_running"


class StoreMoved(PillarboxError):
    """The store was copied elsewhere, and its mail goes out from there."""

    code = "store_moved"


class BadStoreUrl(PillarboxError):
    """This is not the URL of a store."""

    code = "invalid_value"


class StoreInUse(PillarboxError):
    """Somebody uses this store, or copies it."""

    code = "store_in_use"


class StoreNotEmpty(PillarboxError):
    """There is something in this store that is not an unfinished copy of that one."""

    code = "store_not_empty"


class CopyDiffers(PillarboxError):
    """What was copied is not what the source holds."""

    code = "copy_differs"


class WrongSecretKey(PillarboxError):
    """The secrets in this store were sealed with another key."""

    code = "secret_key_wrong"


class SchemaTooNew(PillarboxError):
    """The data was written by a newer Pillarbox."""

    code = "db_newer_than_program"
