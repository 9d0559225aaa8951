"""The engines that speak to a server, with the one that stands in for it."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from deployments.llm.engine import LlmEngine
from deployments.registry import load_engine
from deployments.types import Message
from tests.tiny_models.fake_llm_server import FakeLlmServer

KEY = "a-key-that-nobody-may-see"


def asked(text: str) -> tuple[Message, ...]:
    return (Message("user", text),)


async def texts(engine: LlmEngine, messages: Sequence[Message], language: str = "en") -> list[str]:
    """The deltas of a whole reply, those without text left out."""
    return [delta.text async for delta in engine.reply(messages, language) if delta.text]


def options_of(name: str, server: FakeLlmServer, **more: Any) -> dict[str, Any]:
    """What a profile would say; the key is in the environment, or in no place at all."""
    if name == "gemini":
        return {"base_url": server.url, **more}
    return {"base_url": f"{server.url}/v1", "model": "some-model", **more}


@asynccontextmanager
async def remote(name: str, server: FakeLlmServer, **more: Any) -> AsyncIterator[Any]:
    """The loaded engine; its connections are closed at the end."""
    engine = load_engine("llm", name, options_of(name, server, **more))
    try:
        yield engine
    finally:
        await engine.aclose()


def credentials_of(server: FakeLlmServer) -> str:
    """A service account's file whose tokens the server gives out."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    account = {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "k",
        "private_key": pem.decode(),
        "client_email": "somebody@p.example",
        "token_uri": f"{server.url}/token",
    }
    return json.dumps(account)
