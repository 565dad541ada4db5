"""Digests of credentials."""

import secrets

from byoc_operator.core.masking import make_mask


def test_equal_texts_have_equal_masks_and_no_others() -> None:
    mask = make_mask(secrets.token_bytes(32))
    assert mask("pass") == mask("pass")
    assert mask("pass") != mask("Pass")


def test_a_digest_means_nothing_under_another_key() -> None:
    assert make_mask(b"a" * 32)("pass") != make_mask(b"b" * 32)("pass")


def test_a_mask_does_not_show_what_it_holds() -> None:
    masked = make_mask(b"a" * 32)("pässword")
    assert "pässword" not in repr(masked)
    assert masked.text is not None
    assert masked.text.get_secret_value() == "pässword"
    assert len(masked.digest) == 32
