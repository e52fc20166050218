"""Keys, headers and needles for the tests of encryption."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import quote

SSE = "x-cos-server-side-encryption"
KMS_KEY_ID = f"{SSE}-cos-kms-key-id"
CONTEXT = f"{SSE}-context"


class CustomerKey:
    """A key of a customer's, as headers and as arguments of the Python SDK."""

    def __init__(self, seed: str) -> None:
        self.raw = hashlib.sha256(seed.encode()).digest()
        self.base64 = base64.b64encode(self.raw).decode()
        self.md5 = base64.b64encode(hashlib.md5(self.raw).digest()).decode()

    def headers(self, prefix: str = "x-cos-") -> dict[str, str]:
        name = f"{prefix}server-side-encryption-customer-"
        return {f"{name}algorithm": "AES256", f"{name}key": self.base64, f"{name}key-MD5": self.md5}

    @property
    def source_headers(self) -> dict[str, str]:
        return self.headers("x-cos-copy-source-")

    def options(self, prefix: str = "") -> dict[str, str]:
        name = f"{prefix}SSECustomer"
        return {f"{name}Algorithm": "AES256", f"{name}Key": self.base64, f"{name}KeyMD5": self.md5}


A, B = CustomerKey("a"), CustomerKey("b")


def context(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def spellings(secret: bytes) -> dict[str, bytes]:
    """How a secret could lie around: as it is, and as text. Of base64, what does not depend on the place."""
    encoded = {f"base64 at {n}": base64.b64encode(b"\0" * n + secret)[(8 * n + 5) // 6 : -4] for n in range(3)}
    return {
        "raw": secret,
        "hex": secret.hex().encode(),
        "HEX": secret.hex().upper().encode(),
        "percent": quote(secret, safe="").encode(),
        **encoded,
    }
