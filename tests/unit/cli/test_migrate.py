"""`kubectl byoc migrate`, and the help of every command."""

import json
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

from byoc_operator.core.credential_values import field_of
from kubectl import CREDENTIALS, Cluster
from operated import NAMESPACE, PASSWORD, USER

# migrate

OLD = Fernet.generate_key().decode()


def token(text: str) -> str:
    return Fernet(OLD).encrypt(text.encode()).decode()


@pytest.fixture
def old_key(tmp_path: Any) -> str:
    path = tmp_path / "old.key"
    path.write_text(OLD + "\n")
    return str(path)


def test_tokens_of_the_hosted_service_become_sealed_secrets(cluster: Cluster, old_key: str) -> None:
    lines = [
        {"name": "one", "username": USER, "passwordToken": token(PASSWORD)},
        {"name": "two", "namespace": "sales", "usernameToken": token(USER), "passwordToken": token(PASSWORD)},
        {"name": "three", "passwordToken": token(PASSWORD)},
    ]
    stdin = "\n".join(map(json.dumps, lines))
    result = cluster.run("migrate", "-", "--old-key-file", old_key, "-n", NAMESPACE, stdin=stdin)
    assert result.exit_code == 0
    made = list(yaml.safe_load_all(result.stdout))
    assert [each["metadata"]["namespace"] for each in made] == [NAMESPACE, "sales", NAMESPACE]
    opened = [
        {
            key: cluster.ring.open(text, each["metadata"]["namespace"], field_of(key))
            for key, text in each["stringData"].items()
        }
        for each in made
    ]
    assert opened == [CREDENTIALS, CREDENTIALS, {"password": PASSWORD}]
    assert OLD not in result.output


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nonsense", "line 2: it is no JSON object"),
        ("[]", "line 2: it is no JSON object of texts"),
        ('{"name": "x"}', "line 2: name and passwordToken are needed"),
        ('{"name": "x", "passwordToken": "x", "password": "y"}', "line 2: only name"),
        ('{"name": "x", "passwordToken": "gAAAAA"}', "line 2: passwordToken: the token does not open with the old key"),
        (json.dumps({"name": "x", "passwordToken": token("x\n")}), "line 2: password: the value ends with a newline"),
        (
            json.dumps({"name": "x", "passwordToken": token("\ufeffx")}),
            "line 2: password: the value starts with a byte",
        ),
        (
            json.dumps({"name": "x", "username": "\ud800", "passwordToken": token("x")}),
            "line 2: username: the value is",
        ),
        (json.dumps({"name": "A_Bad", "passwordToken": token("x")}), "line 2: name: the name of a Secret"),
        (
            json.dumps({"name": "x", "namespace": "a/b", "passwordToken": token("x")}),
            "line 2: namespace: the name of a",
        ),
        ("[" * 100_000, "line 2: it is no JSON object"),
        (json.dumps({"name": "good", "passwordToken": token("x")}), f"more than one line makes {NAMESPACE}/good"),
    ],
    ids=range(12),
)
def test_one_wrong_line_and_nothing_is_printed(cluster: Cluster, old_key: str, line: str, words: str) -> None:
    stdin = json.dumps({"name": "good", "passwordToken": token(PASSWORD)}) + "\n" + line
    result = cluster.run("migrate", "-", "--old-key-file", old_key, "-n", NAMESPACE, stdin=stdin)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in " ".join(result.stderr.split())


def test_only_a_newline_ends_a_line(cluster: Cluster, old_key: str) -> None:
    """A separator of Unicode is in the line, and refused as what it is, by the number of its line."""
    entry = {"name": "x", "username": "a\u2028b", "passwordToken": token(PASSWORD)}
    stdin = "\r\n".join((json.dumps({**entry, "username": "a b"}), json.dumps(entry, ensure_ascii=False), "", ""))
    result = cluster.run("migrate", "-", "--old-key-file", old_key, "-n", NAMESPACE, stdin=stdin)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "line 2: " in result.stderr
    assert "contains U+2028, a character that cannot be seen" in " ".join(result.stderr.split())


def test_files_of_other_editors(cluster: Cluster, tmp_path: Any) -> None:
    """A byte order mark is passed over in both files; what is not UTF-8 is said, and quoted nowhere."""
    key, tokens = tmp_path / "old.key", tmp_path / "tokens.jsonl"
    line = json.dumps({"name": "x", "passwordToken": token(PASSWORD)})
    args = ("migrate", str(tokens), "--old-key-file", str(key), "-n", NAMESPACE)
    key.write_text(OLD, encoding="utf-8-sig")
    tokens.write_text(line, encoding="utf-8-sig")
    assert yaml.safe_load(cluster.run(*args).stdout)["metadata"]["name"] == "x"
    key.write_text(OLD, encoding="utf-16")
    result = cluster.run(*args)
    assert (result.exit_code, result.stdout, "--old-key-file is not UTF-8" in result.stderr) == (2, "", True)
    tokens.write_text(line, encoding="utf-16")
    result = cluster.run(*args)
    assert (result.exit_code, result.stdout, "TOKENS is not UTF-8" in result.stderr) == (2, "", True)


def test_a_wrong_old_key_and_two_times_stdin_are_refused(cluster: Cluster, tmp_path: Any) -> None:
    path = tmp_path / "old.key"
    path.write_text("no key")
    result = cluster.run("migrate", "-", "--old-key-file", str(path), stdin="{}")
    assert (result.exit_code, "the old key: line 1" in result.stderr) == (2, True)
    assert cluster.run("migrate", "-", "--old-key-file", "-", stdin="{}").exit_code == 2


@pytest.mark.parametrize("args", [(), ("seal",), ("keys",), ("keys", "rotate"), ("keys", "retire"), ("migrate",)])
def test_every_command_has_help(cluster: Cluster, args: tuple[str, ...]) -> None:
    result = cluster.run(*args, "--help")
    assert (result.exit_code, "Usage: " in result.stdout) == (0, True)
