"""Verification: is a run intact, and does everything in it follow from its statistics?"""

from auditor.verify.judge import judge_run
from auditor.verify.run import Verification, verify_run

__all__ = ["Verification", "judge_run", "verify_run"]
