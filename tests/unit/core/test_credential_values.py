"""Which texts can be keys of a storage of recordings."""

import json

import pytest

from byoc_operator.api import secret_keys
from byoc_operator.core.credential_values import KEY_OF, MAX_DOCUMENT_BYTES, Field, field_of, problem_of
from storage_keys import SECRETS, SERVICE_ACCOUNT

ACCOUNT = json.loads(SERVICE_ACCOUNT)


@pytest.mark.parametrize("storage", SECRETS)
def test_the_keys_of_every_storage_can_be_used(storage: str) -> None:
    assert {key: problem_of(text, field_of(key)) for key, text in SECRETS[storage].items()} == dict.fromkeys(
        SECRETS[storage], ""
    )


def test_each_fixed_key_has_a_field_of_its_own_and_every_other_key_a_password() -> None:
    assert sorted(KEY_OF.values()) == sorted(secret_keys.FIXED)
    assert {field_of(key) for key in secret_keys.FIXED} == set(Field) - {Field.PASSWORD}
    assert field_of("password") is field_of("aws_access_key_id") is Field.PASSWORD


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        (Field.ACCESS_KEY_ID, "", "1 to 256 bytes"),
        (Field.ACCESS_KEY_ID, "AKIA EXAMPLE", "an access key ID has ASCII letters"),
        (Field.ACCESS_KEY_ID, "AKIA/EXAMPLE", "none of"),
        (Field.ACCESS_KEY_ID, "AKIÄ", "ASCII"),
        (Field.ACCESS_KEY_ID, "AKIA\n", "ends with a newline"),
        (Field.ACCESS_KEY_ID, "A" * 257, "longer than 256 bytes"),
        (Field.SECRET_ACCESS_KEY, "a b", "no blank"),
        (Field.SECRET_ACCESS_KEY, "geheimniß", "ASCII"),
        (Field.STORAGE_ACCOUNT_KEY, "AccountKey=abc", "is base64"),
        (Field.STORAGE_ACCOUNT_KEY, "ü", "is base64"),
        (Field.STORAGE_ACCOUNT_KEY, "YQ==\n", "ends with a newline"),
        (Field.SERVICE_ACCOUNT_KEY, "", "1 to 4096 bytes"),
        (Field.SERVICE_ACCOUNT_KEY, "{", "is not JSON"),
        (Field.SERVICE_ACCOUNT_KEY, "[" * 4000, "is not JSON"),
        (Field.SERVICE_ACCOUNT_KEY, "[]", "no key of a service account"),
        (Field.SERVICE_ACCOUNT_KEY, json.dumps({**ACCOUNT, "type": "external_account"}), "no key of a service account"),
        (Field.SERVICE_ACCOUNT_KEY, json.dumps({**ACCOUNT, "private_key": ""}), "has no private_key"),
        (Field.SERVICE_ACCOUNT_KEY, json.dumps({**ACCOUNT, "client_email": 1}), "has no client_email"),
        (Field.SERVICE_ACCOUNT_KEY, "\ufeff" + SERVICE_ACCOUNT, "U+FEFF"),
        (Field.SERVICE_ACCOUNT_KEY, "\x00" + SERVICE_ACCOUNT, "control characters"),
        (Field.SERVICE_ACCOUNT_KEY, SERVICE_ACCOUNT + " " * MAX_DOCUMENT_BYTES, "longer than 4096 bytes"),
        (Field.PASSWORD, SERVICE_ACCOUNT, "longer than 256 bytes"),
    ],
)
def test_what_cannot_be_a_key_is_told_without_a_quote(field: Field, text: str, words: str) -> None:
    problem = problem_of(text, field)
    assert words in problem
    assert len(text) < 4 or text not in problem
