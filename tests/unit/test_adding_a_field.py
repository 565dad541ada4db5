"""A field is added at the places that docs/development.md lists, and nowhere else: tried on a copy of the package.

Both made-up fields exist in LiveKit's messages and are not used by the operator. One of them is a credential.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SECRET = "r3alm-s3cret"

AGENT_METADATA = "    agent_metadata: Mapping[str, Value] = Field("
AGENT = '    agent_metadata: str = field(metadata=_shown_as("agentMetadata"))'
AGENT_WANTED = "        agent_metadata=as_metadata(inbound_job(spec, Key(owner.namespace, owner.name))),"
HIDING_ROW = '        Row("hide_caller_number", "hide_phone_number"),'

EDITS: dict[str, tuple[tuple[str, str], ...]] = {
    "api/schema.py": (
        (
            AGENT_METADATA,
            '    rule_note: str = Field(default="", max_length=64, description="A note on the rule.")\n'
            '    room_preset: str = Field(default="", max_length=64, description="A preset that nobody may see.")\n'
            + AGENT_METADATA,
        ),
    ),
    "core/trunk.py": (
        (
            AGENT,
            AGENT
            + '\n    note: str = field(default="", metadata=_shown_as("ruleNote"))\n'
            + '    preset: Masked | None = field(default=None, metadata=_shown_as("roomPreset"))',
        ),
    ),
    "core/desired.py": (
        (
            AGENT_WANTED,
            AGENT_WANTED
            + "\n        note=spec.inbound.rule_note,\n"
            + "        preset=mask(spec.inbound.room_preset) if spec.inbound.room_preset else None,",
        ),
        ("_rule(spec, owner, installation, credentials),", "_rule(spec, owner, installation, credentials, mask),"),
        (
            "    spec: PhoneNumberSpec, owner: Owner, installation: Installation, credentials: CredentialsInUse\n",
            "    spec, owner, installation, credentials, mask\n",
        ),
    ),
    "livekit_sip/convert.py": (
        (HIDING_ROW, HIDING_ROW + '\n        Row("note", "metadata"),\n        Row("preset", "room_preset"),'),
    ),
}
"""By file of the package: what stands there, and what takes its place."""

PROBE = """
import asyncio, logging, sys
sys.path.insert(0, sys.argv[1])
logging.basicConfig(level=logging.DEBUG)
from dataclasses import replace
from livekit.api import TwirpError
from livekit.protocol.sip import SIPDispatchRuleInfo
import byoc_operator
from byoc_operator.api.validation import parse_spec
from byoc_operator.core.credentials_in_use import CredentialsInUse
from byoc_operator.core.desired import Desired, Installation, RecreateValues, desired
from byoc_operator.core.fields import CREDENTIAL_PATHS, credentials
from byoc_operator.core.masking import make_mask
from byoc_operator.core.ownership import Owned, Owner
from byoc_operator.core.plan import Replace, Terms, differences, losses, needs_credentials, paths, plan, verbs
from byoc_operator.core.trunk import DispatchRule
from byoc_operator.livekit_sip.bounds import bounded
from byoc_operator.livekit_sip.convert import RULE, credential_texts
from byoc_operator.livekit_sip.error_map import from_library
from byoc_operator.livekit_sip.fake import FakeLiveKit

SECRET = sys.argv[2]
MASK = make_mask(b"a key for tests")
assert byoc_operator.__file__.startswith(sys.argv[1])

spec = parse_spec({
    "phoneNumber": "+19876543210", "terminationUri": "sip.example.com", "inboundAgentId": "agent",
    "inbound": {"ruleNote": "a note", "roomPreset": SECRET},
})
owner, installation = Owner("cluster", "voice", "main"), Installation(("cluster",), "livekit.example.com")
want = desired(spec, owner, installation, CredentialsInUse(), RecreateValues(), MASK)
rule = replace(want.rule, trunk_ids=("ST_in",))

# The conversion round-trips.
info = SIPDispatchRuleInfo.FromString(RULE.to_proto(rule).SerializeToString())
assert (info.room_preset, info.metadata) == (SECRET, "a note")
read = RULE.from_proto(info, MASK)
assert read == rule and read.extra == ()

# Drift is detected, and told by paths.
info.room_preset, info.metadata = "another", "another note"
drifted = RULE.from_proto(info, MASK)
told = differences(rule, drifted)
assert told == ("dispatchRule.ruleNote", "dispatchRule.roomPreset"), told
bare = replace(rule, preset=None, note="")
assert losses(bare, drifted) == told
assert CREDENTIAL_PATHS & set(told) == {"dispatchRule.roomPreset"}

# What is read back has no text; what is sent has one, which errors do not show.
assert credential_texts(rule) == [SECRET] and credential_texts(read) == []
error = from_library(TwirpError("invalid_argument", f"bad preset {SECRET}", status=400), credential_texts(rule))
assert len(bounded(replace(read, note="y" * 9999)).note) < 2000


async def on_a_server():
    livekit = FakeLiveKit()
    made = await livekit.create(rule)
    assert made == rule and credential_texts(made) == []
    try:
        await livekit.replace(made)
    except ValueError as exc:
        assert str(exc).startswith("preset: only a digest is known"), exc
    else:
        raise AssertionError("a digest was written")
    have = lambda: Owned((replace(want.outbound, id="ST_out"),), (replace(want.inbound, id="ST_in"),), (listed(),))
    listed = lambda: next(each for each in livekit.objects() if each.id == made.id)
    wanted = Desired(want.outbound, want.inbound, want.rule)
    assert plan(wanted, have(), Terms()) == ()
    livekit.edit(made.id, preset=MASK("another"))
    assert await livekit.list_all(DispatchRule) == [listed()]
    changes = plan(wanted, have(), Terms())
    assert changes == (Replace(replace(rule, id=made.id), ("dispatchRule.roomPreset",)),), changes
    assert needs_credentials(changes)
    await livekit.replace(changes[0].wanted)
    assert plan(wanted, have(), Terms()) == ()
    return changes

changes = asyncio.run(on_a_server())
shown = [rule, read, drifted, want, changes, verbs(changes), paths(changes), list(credentials(rule)), error]
for each in shown:
    logging.getLogger("probe").warning("%s %r", each, each)
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with both fields added."""
    root = tmp_path_factory.mktemp("added")
    for name in ("operator", "crds", "docs", "deploy", "helm"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, root / name)
    for name, edits in EDITS.items():
        path = root / "operator/byoc_operator" / name
        text = path.read_text(encoding="utf-8")
        for before, after in edits:
            assert text.count(before) == 1, f"{name}: {before}"
            text = text.replace(before, after)
        path.write_text(text, encoding="utf-8")
    return root


def run(root: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own that sees no environment and no other copy of the package."""
    return subprocess.run(
        [sys.executable, "-I", "-c", code, str(root / "operator"), *arguments],
        capture_output=True,
        text=True,
        cwd=root,
        env={},
        timeout=120,
        check=False,
    )


def test_an_added_field_and_credential_work_and_the_credential_shows_nowhere(copy: Path) -> None:
    done = run(copy, PROBE, SECRET)
    shown = done.stdout + done.stderr
    assert done.returncode == 0, shown.replace(SECRET, "[the credential]")
    assert SECRET not in shown
    assert "Masked(***)" in shown
    assert "replace the dispatchRule (dispatchRule.roomPreset)" in shown


GENERATE = """
import sys; sys.path.insert(0, sys.argv[1])
from byoc_operator.generate.command import generated_files
files = generated_files()
for name in ("crds/byoc.talkifai.dev_byocphonenumbers.yaml", "docs/reference.md"):
    assert "ruleNote" in files[name] and "roomPreset" in files[name], name
"""


def test_an_added_field_comes_into_the_crd_and_the_reference_by_generating(copy: Path) -> None:
    done = run(copy, GENERATE)
    assert done.returncode == 0, done.stderr


def test_the_guide_lists_the_places_and_no_more_for_a_credential() -> None:
    guide = (ROOT / "docs/development.md").read_text(encoding="utf-8")
    field, credential = (
        re.search(rf"\*\*{name}\.\*\*(.+?)\n\n", guide, re.DOTALL) for name in ("A field", "A credential field")
    )
    assert field
    assert credential
    places = set(re.findall(r"`([a-z_]+/[a-z_]+\.py)`", field[1]))
    assert set(EDITS) <= places
    assert set(re.findall(r"`([a-z_]+/[a-z_]+\.py)`", credential[1])) <= places


def test_a_field_without_its_row_does_not_start(copy: Path, tmp_path: Path) -> None:
    package = tmp_path / "operator"
    shutil.copytree(copy / "operator", package)
    shutil.copy(
        ROOT / "operator/byoc_operator/livekit_sip/convert.py", package / "byoc_operator/livekit_sip/convert.py"
    )
    done = run(tmp_path, "import sys; sys.path.insert(0, sys.argv[1])\nimport byoc_operator.livekit_sip.convert")
    assert done.returncode == 1
    assert "the rows of DispatchRule are not its fields" in done.stderr
