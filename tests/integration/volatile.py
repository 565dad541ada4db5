"""What differs from run to run in the output of a command, masked so that the rest can stand in a file."""

import re

_BLANKS = (re.compile(r" {2,}"), "  ")
_ENDS = (re.compile(r"[ \r]+$", re.MULTILINE), "")
_COMMON = (
    (re.compile(r"test-[0-9a-f]{8}"), "NAMESPACE"),
    (re.compile(r"\b(?:ST|SDR)_[A-Za-z0-9]+"), "ID"),
    (re.compile(r"127\.0\.0\.1:\d{4,}"), "LIVEKIT"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)"), "TIME"),
)
_OF_STATUS = (
    (re.compile(r"(?<= )\d+[smhd](?= |\r?$)", re.MULTILINE), "AGE"),
    (re.compile(r"\x1b\[[0-9;?]*[A-Za-z]"), ""),
    (re.compile(r"\r*[\u2800-\u28ff] reading the numbers[\r\n]*"), ""),
)
_OF_OTHERS = (
    (re.compile(r"\x1b\[[0-9;?]*[A-Za-z]"), ""),
    (re.compile(r"[\u2800-\u28ff] [^\r\n]*"), ""),
    (re.compile(r"refreshing [^\r\n]*"), ""),  # the bar, frame after frame
    (re.compile(r"\r+"), ""),
    (re.compile(r"\bdial-[0-9a-f]{12}\b"), "ROOM"),
    (re.compile(r"/[^\s:()]+/kubeconfig\b"), "KUBECONFIG"),
    (re.compile(r"^(?:\r*\n)+", re.MULTILINE), ""),
    (re.compile(r"fernet:[A-Za-z0-9_=-]+"), "SEALED"),
    (re.compile(r"byoc-operator-[0-9a-z]{6,10}-[0-9a-z]{5}"), "POD"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "FINGERPRINT"),
    (re.compile(r"\b[A-Za-z0-9.-]+_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "LEADER"),
    (re.compile(r"\b\d+(?:\.\d+)? s\b"), "N s"),
    (re.compile(r"(\.(?:txt|log|yaml)) +[\d,]+"), r"\1  BYTES"),
    (re.compile(r"(?:logs/POD\.log +BYTES *\r?\n)+"), "logs/POD.log  BYTES\n"),
    (re.compile(r"\b\d+ (files|parts|pods)\b"), r"N \1"),
)


def masked(text: str, *, status: bool = False) -> str:
    """The text without what differs. `status`: of `kubectl byoc status`, whose ages are a column."""
    for pattern, put in (*_COMMON, *(_OF_STATUS if status else _OF_OTHERS), _BLANKS, _ENDS):
        text = pattern.sub(put, text)
    return text
