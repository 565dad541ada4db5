"""Which texts can be keys of a storage of recordings."""

import json

import pytest

from byoc_operator.api import secret_keys
from byoc_operator.core.credential_values import (
    GOOGLES_ISSUER,
    KEY_OF,
    MAX_DOCUMENT_BYTES,
    Field,
    field_of,
    problem_of,
)
from storage_keys import SECRETS, SERVICE_ACCOUNT

ACCOUNT = json.loads(SERVICE_ACCOUNT)


def account_with(name: str, issuer: str) -> str:
    """A key whose `token_uri` has another name, as it stands between the quotes."""
    return SERVICE_ACCOUNT.replace('"token_uri"', f'"{name}"').replace(GOOGLES_ISSUER, issuer)


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
        *(
            (Field.SERVICE_ACCOUNT_KEY, json.dumps({**ACCOUNT, "token_uri": uri}), f"must be {GOOGLES_ISSUER}")
            for uri in (
                "http://10.0.0.1:8080/any",
                "http://oauth2.googleapis.com/token",
                "https://oauth2.googleapis.com/token?a",
                "https://oauth2.googleapis.com.example.com/token",
                "https://user@oauth2.googleapis.com/token",
                f" {GOOGLES_ISSUER}",
                [GOOGLES_ISSUER],
                0,
                False,
            )
        ),
        *(
            (Field.SERVICE_ACCOUNT_KEY, account_with(name, "http://10.0.0.1/any"), f"must be {GOOGLES_ISSUER}")
            for name in ("Token_URI", "TOKEN_URI", "to\u212aen_uri", "\\u0074oken_uri")
        ),
        *(
            (Field.SERVICE_ACCOUNT_KEY, f'{SERVICE_ACCOUNT.rstrip()[:-1]}, "{name}": "{value}"}}', "has a name twice")
            for name, value in (
                ("token_uri", "http://10.0.0.1/any"),
                ("Token_URI", GOOGLES_ISSUER),
                ("to\u212aen_uri", "http://10.0.0.1/any"),
                ("\\u0074oken_uri", "http://10.0.0.1/any"),
                ("Type", "external_account"),
                ("type", "service_account"),
            )
        ),
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


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({name: value for name, value in ACCOUNT.items() if name != "token_uri"}),
        json.dumps({**ACCOUNT, "token_uri": ""}),
        json.dumps({**ACCOUNT, "token_uri": None}),
        account_with("Token_URI", GOOGLES_ISSUER),
        json.dumps({**ACCOUNT, "token_uris": "http://10.0.0.1/any"}),
    ],
)
def test_a_service_account_that_gets_its_tokens_from_google_can_be_used(text: str) -> None:
    assert problem_of(text, Field.SERVICE_ACCOUNT_KEY) == ""
