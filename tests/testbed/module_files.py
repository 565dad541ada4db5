"""Files of a published Go module, such as another project's CRDs: fetched once, checked, kept in the user's cache."""

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from testbed.go import go
from testbed.tool import ToolMissing, cache_folder


@dataclass(frozen=True, slots=True)
class ModuleFiles:
    """Files below `folder` of `module@version`; `checksum` as Go writes it into go.sum."""

    module: str
    version: str
    checksum: str
    folder: str
    names: tuple[str, ...]

    def find(self) -> list[Path]:
        """The files in the cache. Raises ToolMissing if they are not there and Go cannot fetch them."""
        kept = cache_folder() / f"{self.module.rpartition('/')[2]}-{self.version}.files"
        if not kept.exists():
            self._fetch(kept)
        return [kept / name for name in self.names]

    def _fetch(self, kept: Path) -> None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix=".fetching-") as scratch:
            command = [str(go()), "mod", "download", "-json", f"{self.module}@{self.version}"]
            environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"}
            done = subprocess.run(
                command, cwd=scratch, env=environment, capture_output=True, text=True, timeout=300, check=False
            )
            if done.returncode != 0:
                raise ToolMissing(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
            found = json.loads(done.stdout)
            if found["Sum"] != self.checksum:
                raise ToolMissing(f"{self.module}@{self.version} has the checksum {found['Sum']}, not {self.checksum}")
            for name in self.names:
                shutil.copyfile(Path(found["Dir"]) / self.folder / name, Path(scratch) / name)
            Path(scratch).chmod(0o755)
            # Whoever was faster has put the same files there.
            if not kept.exists():
                Path(scratch).rename(kept)
                Path(scratch).mkdir()


CERT_MANAGER_CRDS = ModuleFiles(
    "github.com/cert-manager/cert-manager",
    "v1.21.2",
    "h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=",
    "deploy/crds",
    ("cert-manager.io_certificates.yaml", "cert-manager.io_issuers.yaml"),
)
EXTERNAL_SECRETS_CRDS = ModuleFiles(
    "github.com/external-secrets/external-secrets",
    "v1.3.2",
    "h1:u2J8RjlHIeF0oZCqtl92adI/uZWUwOesJIDkfql6LqQ=",
    "config/crds/bases",
    ("external-secrets.io_externalsecrets.yaml",),
)
