"""What replies take of a model, in tokens and in money."""

from pydantic import Field

from deployments.config import Settings
from deployments.types import TokenUsage


class Prices(Settings):
    """Of a model, as its provider lists them; 0 where it costs nothing or nobody counts."""

    usd_per_million_prompt_tokens: float = Field(default=0.0, ge=0)
    usd_per_million_output_tokens: float = Field(default=0.0, ge=0)

    def of(self, n_prompt: int, n_output: int) -> TokenUsage:
        """So many tokens with what they cost."""
        prompt_usd = n_prompt * self.usd_per_million_prompt_tokens
        output_usd = n_output * self.usd_per_million_output_tokens
        return TokenUsage(n_prompt, n_output, (prompt_usd + output_usd) / 1e6)
