"""Messages in the words of the command line: options and keys, not arguments of Python."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["usage_message", "worded"]

_WRITTEN = {
    "train": "TRAIN", "test": "TEST", "benchmarks": "--benchmark", "folders": "--folder",
}  # fmt: skip
_BEFORE, _AFTER = r"(?<![\w'\"./-])", r"(?=$|[:;,.]|\s)"
_PLAIN = (
    (r"Input should be a valid integer.*", "expected a whole number"),
    (r"Input should be a valid number.*", "expected a number"),
    (r"Input should be greater than or equal to (\S+)", r"expected at least \1"),
    (r"Input should be less than or equal to (\S+)", r"expected at most \1"),
)


def worded(message: str, command: str) -> str:
    """Name what a message speaks of as the user of a command wrote it.

    Arguments of Python (``text=``) become options; in the audit file of ``auditor run`` arguments
    and options are keys.

    >>> worded("train.csv, text=: there is no column 'a'", "data")
    "train.csv, --text: there is no column 'a'"
    >>> worded("train.csv, --target: there is no column 'a'", "run")
    "train.csv, data.target: there is no column 'a'"
    >>> worded("no table was given; train=, validation= or test=", "data")
    'no table was given; TRAIN, --validation or TEST'
    """
    from auditor.engine.audit_file import DataSpec, PredictionsSpec

    keys = {name.rstrip("_"): "data" for name in DataSpec.model_fields}
    keys |= {name: "predictions" for name in PredictionsSpec.model_fields if name not in keys}

    def as_key(found: re.Match[str]) -> str:
        name = found[1].replace("-", "_")
        return f"{keys[name]}.{name}" if name in keys else found[0]

    def as_option(found: re.Match[str]) -> str:
        name = found[1]
        if name not in keys:
            return found[0]
        return _WRITTEN.get(name, f"--{name.replace('_', '-')}")

    if command == "run":
        message = re.sub(rf"{_BEFORE}--([a-z-]+){_AFTER}", as_key, message)
        return re.sub(rf"{_BEFORE}([a-z_]+)={_AFTER}", as_key, message)
    return re.sub(rf"{_BEFORE}([a-z_]+)={_AFTER}", as_option, message)


def usage_message(error: Any) -> str:
    """Put wrong usage, as the library of the command line found it, into one line."""
    text = str(error.format_message()).strip()
    if found := re.fullmatch(r"Invalid value for '?([^':]+)'?: (.*)", text, re.DOTALL):
        place, what = found.groups()
        for pattern, plain in _PLAIN:
            what = re.sub(pattern, plain, what, flags=re.DOTALL)
        text = f"{place}: {what}"
    text = text.rstrip(".")
    path = getattr(getattr(error, "ctx", None), "command_path", None) or "auditor"
    return f"{text[:1].lower()}{text[1:]}; see {path} --help"
