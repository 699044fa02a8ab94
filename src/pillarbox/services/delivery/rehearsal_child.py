"""the process that rehearses: the one that renders, for messages that do not leave"""

from __future__ import annotations

from pillarbox.services.delivery.rehearsal_job import work
from pillarbox.services.delivery.render_child import main

if __name__ == "__main__":
    main(work)
