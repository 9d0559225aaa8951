"""Whisper in CTranslate2's form: almost a hundred languages, on a GPU or a CPU.

Code: ``faster-whisper`` and ``ctranslate2`` (both MIT). Weights: OpenAI's (MIT), converted by those
whom ``settings.MODELS`` names; `make models` fetches them, serving never does.

    settings     what can be set, with the thresholds and where they come from
    loading      a folder becomes a model on a device, or one line that says what is wrong
    windows      speech in a recording becomes windows of at most 30 s; pure
    decoding     several windows become texts in one go
    judgement    was that speech, or did the model make it up? pure
    engine       the above as an engine
"""

from deployments.asr.faster_whisper.engine import FasterWhisperAsr

__all__ = ["FasterWhisperAsr"]
