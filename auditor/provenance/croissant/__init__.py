"""Croissant 1.1 with its RAI properties: data sets described for machines, written and read.

Both halves stand on the specification (mlcommons.org/croissant/1.1 and /RAI/1.0) and need no other
library. The reader refuses what the reference library lets pass: properties of ``rai:`` and
``prov:`` that do not exist, and checksums that are none.
"""

from auditor.provenance.croissant.document import Croissant, File, RecordSet
from auditor.provenance.croissant.read import MOST_CROISSANT_BYTES, read_croissant
from auditor.provenance.croissant.write import write_croissant

__all__ = [
    "MOST_CROISSANT_BYTES",
    "Croissant",
    "File",
    "RecordSet",
    "read_croissant",
    "write_croissant",
]
