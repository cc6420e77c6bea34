"""The engine: the audit, its plan, its recording, and what it does at each stage."""

from auditor.engine.audit import Audit

__all__ = ["Audit"]
