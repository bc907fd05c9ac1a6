import base64
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lily.runtime.seal import seal, unseal

NEW, OLD, OTHER = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2, 3))
one_setting_for_all_examples = hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@given(plain=st.binary())
@one_setting_for_all_examples
def test_what_is_sealed_opens_again_and_does_not_show(configured: Callable[..., None], plain: bytes):
    sealed = seal(plain)

    assert unseal(sealed) == plain
    assert len(sealed) == len(plain) + 33
    assert len(plain) < 4 or plain not in sealed


@given(plain=st.binary(), data=st.data())
@one_setting_for_all_examples
def test_a_change_of_any_bit_is_refused(configured: Callable[..., None], plain: bytes, data: st.DataObject):
    sealed = bytearray(seal(plain))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= 1 << data.draw(st.integers(0, 7))

    with pytest.raises(ValueError, match="seal"):
        unseal(bytes(sealed))


@given(plain=st.binary(), data=st.data())
@one_setting_for_all_examples
def test_a_cut_text_is_refused(configured: Callable[..., None], plain: bytes, data: st.DataObject):
    sealed = seal(plain)

    with pytest.raises(ValueError, match="seal"):
        unseal(sealed[: data.draw(st.integers(0, len(sealed) - 1))])


def test_the_same_text_is_sealed_differently_each_time(configured):
    assert seal(b"x") != seal(b"x")


def test_a_key_is_replaced_by_putting_the_new_one_first(configured):
    configured(LILY_SEAL_KEY=OLD)
    old = seal(b"kept")

    configured(LILY_SEAL_KEY=f"{NEW},{OLD}")
    new = seal(b"fresh")
    assert (unseal(old), unseal(new)) == (b"kept", b"fresh")

    configured(LILY_SEAL_KEY=NEW)
    assert unseal(new) == b"fresh"
    with pytest.raises(ValueError, match="LILY_SEAL_KEY does not hold"):
        unseal(old)


def test_another_key_does_not_open_it(configured):
    sealed = seal(b"x")

    configured(LILY_SEAL_KEY=OTHER)

    with pytest.raises(ValueError, match="add the old key as the second one"):
        unseal(sealed)
