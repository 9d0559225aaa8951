"""XTTS-v2: seventeen languages, of which ours are three, in voices cloned from a few seconds.

Code: ``coqui-tts`` (MPL-2.0). Weights: Coqui's XTTS-v2 under the Coqui Public Model License, which
allows only non-commercial use of the model and of what it says; `make models` fetches them, serving
never does, and the engine does not load before the licence is accepted by its name.

    settings     what can be set, and where the weights come from
    library      coqui-tts, imported beside whatever torch is here
    loading      a folder becomes a model on a device, or one line that says what is wrong
    voices       what it takes to speak in somebody's voice, as bytes
    normalise    numbers, dates, money and units become words, by language
    parts        text is cut to what the model takes at once; pure
    latents      text becomes latents, one for each 46 ms of speech
    vocoder      latents become sound as they come, each decoded once
    speech       a text becomes sound, piece by piece: the four above together
    engine       the above as an engine, with its voices
"""

from deployments.tts.xtts.engine import XttsTts

__all__ = ["XttsTts"]
