"""Writes a tiny Whisper with random weights in CTranslate2's form, for faster-whisper.

    python -m tests.tiny_models.make_tiny_whisper OUT [--seed 7] [--mels 80]

The way there is the real one: a Whisper of transformers is saved, CTranslate2's own converter turns
it into ``model.bin``, and ``faster_whisper.WhisperModel(OUT)`` loads it without any network. The
words that it hears are noise. Needs torch and transformers; 12 s, 4.6 MB.

CTranslate2 takes "multilingual" from the vocabulary, so the table keeps all 51,865 rows of the real
one (51,866 for large-v3's shape with 128 mels), the empty token at 50,256 included: without that
one the model counts as English-only.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

_LANGUAGES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu "
    "ta no th ur hr bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn "
    "bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am yi lo uz fo ht ps tk nn "
    "mt sa lb my bo tl mg as tt haw ln ha ba jw su"
)
LANGUAGES = _LANGUAGES.split()


def leave_torchaudio_out() -> None:
    """Whisper needs nothing of it, and its wheel does not import beside a torch without CUDA."""
    import transformers.utils

    transformers.utils.is_torchaudio_available = lambda: False


def byte_letters() -> list[str]:
    """The printable stand-ins that byte-level BPE uses for the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters, extra = {}, 0
    for byte in range(256):
        if byte in plain:
            letters[byte] = chr(byte)
        else:
            letters[byte] = chr(256 + extra)
            extra += 1
    return [letters[b] for b in plain] + [letters[b] for b in range(256) if b not in plain]


def special_marks(is_large_v3: bool) -> list[str]:
    """Everything after the words, in Whisper's order."""
    languages = LANGUAGES + (["yue"] if is_large_v3 else [])
    marks = ["<|endoftext|>", "<|startoftranscript|>"] + [f"<|{code}|>" for code in languages]
    marks += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>"]
    marks += ["<|nospeech|>", "<|notimestamps|>"]
    return marks + [f"<|{step * 0.02:.2f}|>" for step in range(1501)]


def make_tokenizer(is_large_v3: bool) -> Any:
    """A byte-level tokenizer with Whisper's numbering: 50,257 words, then marks."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    vocab = {letter: number for number, letter in enumerate(byte_letters())}
    space = "\u0120"  # how byte-level BPE writes a blank
    number = len(vocab)
    for index in range(50256 - number):
        vocab[f"{space}w{index}"] = number + index
    vocab[""] = 50256  # as in the real multilingual table
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    marks = special_marks(is_large_v3)
    tokenizer.add_special_tokens([AddedToken(m, special=True, normalized=False) for m in marks])
    return tokenizer


def make_model(tokenizer: Any, mels: int, width: int) -> Any:
    """One layer a side, with everything in its generation config that the converter copies."""
    from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

    start = tokenizer.token_to_id("<|startoftranscript|>")
    end = tokenizer.token_to_id("<|endoftext|>")
    config = WhisperConfig(
        vocab_size=tokenizer.get_vocab_size(), num_mel_bins=mels, d_model=width, encoder_layers=1,
        decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=2 * width, decoder_ffn_dim=2 * width, max_source_positions=1500,
        max_target_positions=448, pad_token_id=end, bos_token_id=end, eos_token_id=end,
        decoder_start_token_id=start, suppress_tokens=[], begin_suppress_tokens=[220, end],
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        decoder_start_token_id=start, eos_token_id=end, pad_token_id=end, bos_token_id=end
    )
    facts = model.generation_config
    facts.alignment_heads = [[0, 0], [0, 1]]  # word times
    facts.lang_to_id = {f"<|{c}|>": tokenizer.token_to_id(f"<|{c}|>") for c in LANGUAGES}
    facts.suppress_tokens = []
    facts.begin_suppress_tokens = [220, end]
    facts.no_timestamps_token_id = tokenizer.token_to_id("<|notimestamps|>")
    return model


def listen(model: Any) -> None:
    """Let the sound decide what is written. As they come, random weights repeat one token whatever
    they hear, since what was written last outweighs everything else."""
    for layer in model.model.decoder.layers:
        attention = layer.encoder_attn
        for part, times in ((attention.q_proj, 30), (attention.k_proj, 30), (attention.v_proj, 30)):
            part.weight.data *= times
        attention.out_proj.weight.data *= 30


def build(
    out: Path, seed: int = 7, mels: int = 80, width: int = 32, quantization: str = "int8"
) -> None:
    """Write the folder, and say in a line of JSON what it holds."""
    leave_torchaudio_out()
    import torch
    from ctranslate2.converters import TransformersConverter
    from transformers import WhisperFeatureExtractor, WhisperTokenizerFast

    torch.manual_seed(seed)
    tokenizer = make_tokenizer(mels == 128)
    model = make_model(tokenizer, mels, width)
    listen(model)
    with tempfile.TemporaryDirectory() as work:
        model.save_pretrained(work)
        WhisperFeatureExtractor(feature_size=mels).save_pretrained(work)
        tokenizer.save(f"{work}/tokenizer.json")
        WhisperTokenizerFast(
            tokenizer_file=f"{work}/tokenizer.json", unk_token="<|endoftext|>"
        ).save_pretrained(work)
        converter = TransformersConverter(work, copy_files=["preprocessor_config.json"])
        converter.convert(str(out), quantization=quantization, force=True)
    tokenizer.save(str(out / "tokenizer.json"))
    total = sum(file.stat().st_size for file in out.iterdir())
    facts = {"out": str(out), "bytes": total, "vocabulary": tokenizer.get_vocab_size()}
    print(json.dumps(facts))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--mels", type=int, default=80, choices=(80, 128))
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--quantization", default="int8")
    build(**vars(parser.parse_args()))
