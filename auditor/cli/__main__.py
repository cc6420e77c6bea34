"""``python -m auditor.cli`` is the command ``auditor``."""

from auditor.cli import main

main()
