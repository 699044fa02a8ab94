"""why nothing is taken charge of just now, where it is not the store"""

from __future__ import annotations

from pillarbox.terms.errors import Trouble


class NodeDraining(Trouble):
    """This node is being drained and takes nothing more; the others do."""

    code = "node_draining"
