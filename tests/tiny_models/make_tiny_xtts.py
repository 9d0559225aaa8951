"""Writes a tiny XTTS-v2 with random weights that the real loader accepts.

    python -m tests.tiny_models.make_tiny_xtts OUT [--max-audio-tokens 48] [--max-text-tokens 200]

OUT gets the files of a real folder: config.json, model.pth, vocab.json, speakers_xtts.pth. The
voice is noise; only shapes, files, pieces and times are real. Without ``--stop-bias 0`` it never
stops before its last token, so that lengths are known. Needs torch and coqui-tts; 8 s, 2.4 MB.

The vocoder and the speaker encoder have sizes that no setting changes (23 million numbers), so
their big tensors are strided views on a little noise, and become full size when loaded.
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

from deployments.tts.xtts.library import imported

LANGUAGES = (
    "en", "es", "fr", "de", "it", "pt", "pl", "tr", "ru", "nl", "cs", "ar", "zh-cn", "hu", "ko",
    "ja", "hi",
)  # fmt: skip
VOICES = ("Tiny Voice A", "Tiny Voice B")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,;:!?'\"-()áéíóúüñ¿¡àèìòùâêîôûäöçß"
_GAIN = 5.0  # so that the noise is about as loud as speech
_STEPS = (1, 17, 29, 43, 61)  # prime, so that a view repeats itself late


def write_vocabulary(path: Path) -> None:
    """A table of letters in the form of ``tokenizers``, with XTTS's marks."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    marks = ["[STOP]", "[UNK]", "[SPACE]", "[START]", *(f"[{code}]" for code in LANGUAGES)]
    table = {token: number for number, token in enumerate([*marks, *_LETTERS])}
    tokenizer = Tokenizer(models.BPE(vocab=table, merges=[], unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(marks)
    tokenizer.save(str(path))


class Noise:
    """Hands out tensors of any shape as strided views on a small buffer of noise."""

    def __init__(self, seed: int, size: int = 1 << 16) -> None:
        import torch

        generator = torch.Generator().manual_seed(seed)
        self._size = size
        self._unit = torch.randn(size, generator=generator)
        self._scaled: dict[int, Any] = {}

    def like(self, tensor: Any) -> Any:
        """As large and, to a power of two, as loud as ``tensor``."""
        power = round(math.log2(float(tensor.float().std()) or 1.0))
        noise = self._scaled.setdefault(power, self._unit * 2.0**power)
        sizes = tuple(tensor.shape)
        steps = tuple(
            step if size > 1 else 1 for step, size in zip(_STEPS, reversed(sizes), strict=False)
        )[::-1]
        if sum((size - 1) * step for size, step in zip(sizes, steps, strict=True)) >= self._size:
            raise ValueError(f"there is too little noise for {sizes}")
        return noise.as_strided(sizes, steps)


def build(
    out: Path, seed: int, max_audio_tokens: int, max_text_tokens: int, stop_bias: float
) -> None:
    """Write the folder."""
    torch, configs = imported("torch"), imported("TTS.tts.configs.xtts_config")
    out.mkdir(parents=True, exist_ok=True)
    write_vocabulary(out / "vocab.json")
    torch.manual_seed(seed)
    config = _config(configs, max_audio_tokens, max_text_tokens)
    model = imported("TTS.tts.models.xtts").Xtts(config)
    tokenizers = imported("TTS.tts.layers.xtts.tokenizer")
    model.tokenizer = tokenizers.VoiceBpeTokenizer(vocab_file=str(out / "vocab.json"))
    model.init_models()  # now with the numbers of the tokenizer
    with torch.no_grad():
        model.gpt.mel_head.bias[config.model_args.gpt_stop_audio_token] = stop_bias
        model.hifigan_decoder.waveform_decoder.conv_post.weight.mul_(_GAIN)
    torch.save({"model": _noisy(model, seed)}, out / "model.pth")
    torch.save(_voices(torch, seed, config.model_args), out / "speakers_xtts.pth")
    config.save_json(str(out / "config.json"))


def _config(configs: Any, max_audio_tokens: int, max_text_tokens: int) -> Any:
    n_tokens, width = 64, 64
    arguments = configs.XttsArgs(
        gpt_layers=1,
        gpt_n_model_channels=width,
        gpt_n_heads=2,
        gpt_max_audio_tokens=max_audio_tokens,
        gpt_max_text_tokens=max_text_tokens,
        gpt_num_audio_tokens=n_tokens + 2,
        gpt_start_audio_token=n_tokens,
        gpt_stop_audio_token=n_tokens + 1,
        gpt_use_perceiver_resampler=True,
        gpt_use_masking_gt_prompt_approach=False,
        decoder_input_dim=width,
    )
    config = configs.XttsConfig(model_args=arguments, languages=list(LANGUAGES))
    config.gpt_cond_len, config.gpt_cond_chunk_len, config.max_ref_len = 6, 6, 10
    return config


def _noisy(model: Any, seed: int) -> dict[str, Any]:
    """What is learned and large becomes noise; filters and variances must stay what they are."""
    noise = Noise(seed)
    learned = {name for name, _ in model.named_parameters()}
    return {
        name: noise.like(tensor) if name in learned and tensor.numel() > 8192 else tensor.clone()
        for name, tensor in model.state_dict().items()
    }


def _voices(torch: Any, seed: int, arguments: Any) -> dict[str, dict[str, Any]]:
    voices = {}
    for number, name in enumerate(VOICES):
        generator = torch.Generator().manual_seed(seed + number)
        speaker = torch.randn(1, 512, 1, generator=generator)
        prompt = torch.randn(1, 32, arguments.gpt_n_model_channels, generator=generator)
        voices[name] = {
            "gpt_cond_latent": prompt * 0.1,
            "speaker_embedding": speaker / speaker.norm(),
        }
    return voices


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--max-audio-tokens", type=int, default=48)
    parser.add_argument("--max-text-tokens", type=int, default=200)
    parser.add_argument("--stop-bias", type=float, default=-20.0)
    options = parser.parse_args()
    build(**vars(options))
    print(json.dumps({"bytes": sum(file.stat().st_size for file in options.out.iterdir())}))


if __name__ == "__main__":
    main()
