// One recording from the microphone, which is open only meanwhile.

import { Problem } from "./problems.js";

// The server takes 120.0 s of a question and 30.0 s of a voice; a recorder stops a little late.
const QUESTION = { limitS: 119.5, isProcessed: true };
export const VOICE = { limitS: 29.5, isProcessed: false };
const SHORTEST_S = 0.3; // a double click, not a question
const TYPES = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"];
const CODE_OF_ERROR = {
  NotAllowedError: "microphone_refused",
  SecurityError: "microphone_refused",
  NotFoundError: "microphone_missing",
  OverconstrainedError: "microphone_missing",
};

/** A running recording: `stream` for the meter, then `finish()` or `discard()`. */
class Recording {
  #recorder;
  #startedAt = performance.now();
  #timer;
  #whole;

  constructor(stream, recorder, limitS, onLimit) {
    this.stream = stream;
    this.#recorder = recorder;
    this.#timer = setTimeout(onLimit, limitS * 1000);
    const pieces = [];
    recorder.addEventListener("dataavailable", (event) => pieces.push(event.data));
    this.#whole = new Promise((resolve) => {
      recorder.addEventListener("stop", () => resolve(new Blob(pieces, { type: recorder.mimeType })));
    });
  }

  get elapsedS() {
    return (performance.now() - this.#startedAt) / 1000;
  }

  /** What was recorded. Throws `recorded_nothing` when it cannot hold a word. */
  async finish() {
    const lengthS = this.elapsedS;
    this.discard();
    const sound = await this.#whole;
    if (lengthS < SHORTEST_S || sound.size === 0) throw new Problem("recorded_nothing");
    return sound;
  }

  /** Closes the microphone. */
  discard() {
    clearTimeout(this.#timer);
    if (this.#recorder.state !== "inactive") this.#recorder.stop();
    for (const track of this.stream.getTracks()) track.stop();
  }
}

/** Opens the microphone and records. `onLimit` is called when no more would be taken. */
export async function record(onLimit, { limitS, isProcessed } = QUESTION) {
  if (!window.isSecureContext) throw new Problem("insecure_context");
  if (!navigator.mediaDevices?.getUserMedia) throw new Problem("recorder_missing");
  if (!window.MediaRecorder) throw new Problem("recorder_missing");
  const stream = await open(isProcessed);
  const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
  const recorder = new MediaRecorder(stream, mimeType ? { mimeType } : {});
  const started = new Promise((resolve) => recorder.addEventListener("start", resolve));
  recorder.start();
  await started; // what is said before this is lost, so the page must not say "go on" earlier
  return new Recording(stream, recorder, limitS, onLimit);
}

/** What makes speech easier to understand also colours it, so a voice to be copied goes without. */
async function open(isProcessed) {
  const audio = {
    channelCount: 1,
    echoCancellation: isProcessed,
    noiseSuppression: isProcessed,
    autoGainControl: true,
  };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    throw new Problem(CODE_OF_ERROR[error.name] ?? "microphone_busy");
  }
}
