"""What a profile may set about the ingress; read once, frozen."""

from ipaddress import ip_address
from pathlib import Path

from pydantic import Field, model_validator

from deployments.config import Settings
from deployments.errors import ConfigError


class IngressSettings(Settings):
    """Limits, retention and who may ask. Defaults are the interface's."""

    profile: str = "embedded"
    host: str = "127.0.0.1"
    data_dir: Path = Path("data")
    max_audio_bytes: int = Field(default=25_000_000, gt=0)
    max_audio_s: float = Field(default=120.0, gt=0)
    max_image_bytes: int = Field(default=20_000_000, gt=0)
    max_image_pixels: int = Field(default=50_000_000, gt=0)  # a decoded picture takes 4 bytes each
    max_text_chars: int = Field(default=2000, gt=0)
    max_history_chars: int = Field(default=8000, gt=0)  # some 2,000 English tokens
    upload_memory_bytes: int = Field(default=200_000_000, gt=0)  # of all uploads being read at once
    retention_s: float = Field(default=3600.0, ge=0)  # 0 keeps nothing
    sweep_every_s: float = Field(default=60.0, gt=0)
    look_ahead_s: float = Field(default=20.0, gt=0)
    speech_threshold: float = Field(default=0.5, gt=0, lt=1)  # Silero's published default
    min_speech_s: float = Field(default=0.25, gt=0)  # less than this in all is no speech
    allowed_origins: tuple[str, ...] = ()
    api_keys_file: Path | None = None
    requests_per_minute: int | None = Field(default=None, gt=0)  # of one key
    min_free_disk_bytes: int = Field(default=100_000_000, ge=0)  # below it no turn is accepted
    sse_keepalive_s: float = Field(default=10.0, gt=0)
    proxy_sets_request_id: bool = False  # Serve's proxy adds X-Request-Id to every answer itself

    @model_validator(mode="after")
    def _one_upload_fits(self) -> "IngressSettings":
        if self.upload_memory_bytes < 2 * self.max_audio_bytes:
            raise ValueError("upload_memory_bytes is less than two uploads of max_audio_bytes take")
        return self


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to ``host``."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:  # another name: who can reach it is not ours to guess
        return False


def check_exposure(host: str, api_keys_file: Path | None) -> None:
    """Refuse to serve strangers without keys.

    Raises:
        ConfigError: ``host`` is beyond loopback and no file of key hashes is set.
    """
    if api_keys_file is None and not is_loopback(host):
        raise ConfigError(
            f"HOST={host} is reachable from other machines: set api_keys_file in the profile "
            "(one SHA-256 of a key per line), or use HOST=127.0.0.1"
        )
