// How loud the microphone is, as a row of bars and as a number for those who do not see them.

const FLOOR_DB = -55; // a quiet room; 0 is full scale
const SILENT_DB = -50;
const SILENT_AFTER_S = 3;
const INTERVAL_MS = 60;

/** Loudness of one window of samples in [-1, 1], in dB of full scale. */
export function loudnessDb(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return 10 * Math.log10(sum / samples.length + 1e-12);
}

/** 0 for a quiet room or less, 1 for full scale. */
export function levelOf(db) {
  return Math.min(1, Math.max(0, 1 - db / FLOOR_DB));
}

export class Meter {
  #element;
  #bars;
  #levels;
  #context = null;
  #stopTimers = () => {};

  constructor(element, nBars = 28) {
    this.#element = element;
    this.#bars = Array.from({ length: nBars }, () => document.createElement("span"));
    element.replaceChildren(...this.#bars);
  }

  /** Shows `stream` until `stop()`; calls `onSilence` once if nothing is heard at first. */
  start(stream, onSilence) {
    this.#levels = this.#bars.map(() => 0);
    this.#context = new AudioContext();
    this.#context.resume(); // Safari begins suspended
    const analyser = this.#context.createAnalyser();
    analyser.fftSize = 2048; // 43 ms at 48 kHz
    this.#context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    let wasHeard = false;
    const silence = setTimeout(() => wasHeard || onSilence(), SILENT_AFTER_S * 1000);
    const step = () => {
      analyser.getFloatTimeDomainData(samples);
      const db = loudnessDb(samples);
      wasHeard ||= db > SILENT_DB;
      this.#show(levelOf(db));
    };
    const ticks = setInterval(step, INTERVAL_MS);
    this.#stopTimers = () => (clearInterval(ticks), clearTimeout(silence));
  }

  stop() {
    if (!this.#context) return;
    this.#stopTimers();
    this.#context.close();
    this.#context = null;
    this.#bars.forEach((bar) => bar.style.setProperty("--level", 0));
  }

  #show(level) {
    this.#levels.push(level);
    this.#levels.shift();
    this.#bars.forEach((bar, i) => bar.style.setProperty("--level", this.#levels[i].toFixed(3)));
    this.#element.setAttribute("aria-valuenow", String(Math.round(level * 100)));
  }
}
