"""Text becomes latents, one for each 46 ms of speech, as soon as each is known.

The library's own generator keeps a sentence's beginning in the model and draws from torch's one
random generator, so that two sentences spoken by turns would disturb each other. Here all that
belongs to a sentence is in its iterator.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The library puts these tokens in the place of the text for whoever punishes repetition, so token 1
# counts as said from the beginning. The model's settings were found with it.
_PLACEHOLDER = 1


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. Source: the model's own configuration."""

    temperature: float
    top_k: int
    top_p: float
    repetition_penalty: float


class Latents:
    """XTTS's language model, and how to ask it."""

    def __init__(self, gpt: Any, sampling: Sampling) -> None:
        from transformers import (
            LogitsProcessorList,
            RepetitionPenaltyLogitsProcessor,
            TemperatureLogitsWarper,
            TopKLogitsWarper,
            TopPLogitsWarper,
        )

        self._gpt = gpt
        self._warped = LogitsProcessorList(
            [
                RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty),
                TemperatureLogitsWarper(sampling.temperature),
                TopKLogitsWarper(sampling.top_k),
                TopPLogitsWarper(sampling.top_p),
            ]
        )

    def of(self, tokens: Sequence[int], prompt: NDArray[np.float32], seed: int) -> Iterator[Any]:
        """(width,) float32 tensors; the same arguments give the same.

        Args:
            tokens: a text as the model's tokenizer writes it.
            prompt: (32, width), a voice; see ``Timbre``.
        """
        import torch
        from transformers import DynamicCache

        cache = DynamicCache(config=self._gpt.gpt.config)
        generator = torch.Generator().manual_seed(seed)
        said: list[int] = []
        inputs = self._beginning(tokens, prompt)
        while len(said) < self._gpt.max_gen_mel_tokens:
            latent, scores = self._step(inputs, cache)
            yield latent
            token = self._choice(said, scores, generator)
            if token == self._gpt.stop_audio_token:
                return
            said.append(token)
            inputs = self._embedded(token, len(said))

    def _beginning(self, tokens: Sequence[int], prompt: NDArray[np.float32]) -> Any:
        """(1, n, width): the voice, the text between its marks, and the mark of speech."""
        import torch

        gpt = self._gpt
        with torch.inference_mode():
            told = [gpt.start_text_token, *tokens, gpt.stop_text_token]
            text = torch.tensor([told], device=gpt.final_norm.weight.device)
            text = gpt.text_embedding(text) + gpt.text_pos_embedding(text)
            voice = torch.from_numpy(prompt)[None].to(text)
            return torch.cat([voice, text, self._embedded(gpt.start_audio_token, 0)], dim=1)

    def _embedded(self, token: int, position: int) -> Any:
        """(1, 1, width)."""
        import torch

        gpt = self._gpt
        device = gpt.final_norm.weight.device
        with torch.inference_mode():
            embedded = gpt.mel_embedding(torch.tensor([[token]], device=device))
            return embedded + gpt.mel_pos_embedding.get_fixed_embedding(position, device)

    def _step(self, inputs: Any, cache: Any) -> tuple[Any, Any]:
        """The next latent, and (n_tokens,) scores of the token after it, on the CPU."""
        import torch

        gpt = self._gpt
        with torch.inference_mode():
            out = gpt.gpt(inputs_embeds=inputs, past_key_values=cache, use_cache=True)
            latent = gpt.final_norm(out.last_hidden_state[0, -1].float())
            return latent, gpt.mel_head(latent).cpu()

    def _choice(self, said: Sequence[int], scores: Any, generator: Any) -> int:
        """Drawn on the CPU, where a seed means the same on every machine."""
        import torch

        with torch.inference_mode():
            before = torch.tensor([[_PLACEHOLDER, self._gpt.start_audio_token, *said]])
            chances = torch.softmax(self._warped(before, scores[None]), dim=-1)
            return int(torch.multinomial(chances, 1, generator=generator))
