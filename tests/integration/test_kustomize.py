"""Numbers by kustomize: the Secret that a number names is renamed with it, and a new hash is a rotation."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from integration.scene import BASE, LABEL, Scene, fresh_number, recorded
from manifests import manifest
from testbed import tools
from testbed.process import clean_environment

ROOT = Path(__file__).parents[2]
COMPONENT = ROOT / "deploy" / "kustomize" / "name-reference"


class Repository:
    """A user's kustomizations: a base with a number, and an overlay that puts a prefix before every name."""

    def __init__(self, folder: Path, scene: Scene, *, component: bool = True) -> None:
        self.folder = folder
        self.scene = scene
        self.phone = fresh_number()
        shutil.copytree(COMPONENT, folder / "name-reference")
        base = folder / "base"
        base.mkdir()
        spec = {"phoneNumber": self.phone, **BASE, "sipPasswordSecretRef": {"name": "twilio-sip"}}
        number = manifest("main", scene.namespace, spec)
        (base / "main.yaml").write_text(json.dumps(number))
        kustomization = {
            "resources": ["main.yaml"],
            "secretGenerator": [
                {
                    "name": "twilio-sip",
                    "namespace": scene.namespace,
                    "envs": ["twilio-sip.env"],
                    "options": {"labels": LABEL},
                }
            ],
            **({"components": ["../name-reference"]} if component else {}),
        }
        (base / "kustomization.yaml").write_text(json.dumps(kustomization))
        overlay = folder / "eu"
        overlay.mkdir()
        (overlay / "kustomization.yaml").write_text(json.dumps({"resources": ["../base"], "namePrefix": "eu-"}))

    def rendered(self, password: str) -> str:
        """What kustomize makes of the overlay with this password."""
        (self.folder / "base" / "twilio-sip.env").write_text(f"username=alice\npassword={password}\n")
        command = [str(tools.find(tools.KUBECTL)), "kustomize", str(self.folder / "eu")]
        environment = clean_environment() | {"HOME": str(self.folder)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout


def _names(rendering: str) -> tuple[str, str]:
    """The name of the Secret, and the one that the number names."""
    by_kind = {each["kind"]: each for each in yaml.safe_load_all(rendering)}
    return (
        by_kind["Secret"]["metadata"]["name"],
        by_kind["ByocPhoneNumber"]["spec"]["sipPasswordSecretRef"]["name"],
    )


@pytest.fixture
def repository(tmp_path: Path, scene: Scene) -> Repository:
    """The kustomizations in the namespace of the scene."""
    return Repository(tmp_path, scene)


def test_without_the_component_the_number_names_no_secret(tmp_path: Path, scene: Scene) -> None:
    """Why there is one."""
    secret, named = _names(Repository(tmp_path, scene, component=False).rendered("first-password"))
    assert secret.startswith("eu-twilio-sip-")
    assert named == "twilio-sip"


def test_a_rotation_by_hash_reaches_livekit_and_keeps_the_ids(scene: Scene, repository: Repository) -> None:
    first = repository.rendered("first-password")
    second = repository.rendered("second-password")
    assert [secret == named for secret, named in (_names(first), _names(second))] == [True, True]
    assert _names(first)[0].startswith("eu-twilio-sip-")
    assert _names(first) != _names(second)
    scene.kubectl("apply", "-f", "-", stdin=first)
    before = recorded(scene.ready("eu-main"))
    assert scene.held(repository.phone).outbound[0].auth_password == "first-password"
    scene.kubectl("apply", "-f", "-", stdin=second)
    scene.until(
        lambda: scene.held(repository.phone).outbound[0].auth_password == "second-password", "the password is new"
    )
    number = scene.ready("eu-main")
    assert recorded(number) == before
    assert number["status"]["credentials"]["secretName"] == _names(second)[0]
