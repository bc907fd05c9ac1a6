"""Encrypts what Lily keeps of payloads: AES-256-GCM under the first of LILY_SEAL_KEY; opens what any of them sealed.

A sealed text is: version (1 byte), key id (4), nonce (12), ciphertext with its tag. The key id is the beginning of the key's
SHA-256, so a key that is being replaced is found without trying. Random nonces are safe for 2^32 messages per key.
"""

import base64
import hashlib
import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lily.runtime.settings import Secret, settings

VERSION = b"\x01"
KEY_ID_BYTES = 4
NONCE_BYTES = 12
HEAD_BYTES = len(VERSION) + KEY_ID_BYTES + NONCE_BYTES


def seal(plain: bytes) -> bytes:
    """`plain` encrypted and protected against change; 33 bytes longer; different each time."""
    key_id, cipher = _ciphers(settings().seal_keys)[0]
    nonce = os.urandom(NONCE_BYTES)
    head = VERSION + key_id
    return head + nonce + cipher.encrypt(nonce, plain, head)


def unseal(sealed: bytes) -> bytes:
    """What was sealed. Raises ValueError if it was changed, cut, or sealed with a key that is no longer configured."""
    head, nonce = sealed[: HEAD_BYTES - NONCE_BYTES], sealed[HEAD_BYTES - NONCE_BYTES : HEAD_BYTES]
    if len(sealed) < HEAD_BYTES or not head.startswith(VERSION):
        raise ValueError("not a sealed text of this version of Lily")
    fitting = [cipher for key_id, cipher in _ciphers(settings().seal_keys) if key_id == head[1:]]
    if not fitting:
        raise ValueError("sealed with a key that LILY_SEAL_KEY does not hold; add the old key as the second one")
    for cipher in fitting:
        try:
            return cipher.decrypt(nonce, sealed[HEAD_BYTES:], head)
        except InvalidTag:
            continue
    raise ValueError("the sealed text was changed after it was sealed")


@lru_cache(maxsize=4)
def _ciphers(keys: tuple[Secret, ...]) -> tuple[tuple[bytes, AESGCM], ...]:
    raw = [base64.b64decode(key.reveal()) for key in keys]
    return tuple((hashlib.sha256(b"lily key id" + key).digest()[:KEY_ID_BYTES], AESGCM(key)) for key in raw)
