// A sample of a voice: read aloud into the microphone, or out of a file.

import { Meter } from "./meter.js";
import { languageName } from "./pickers.js";
import { Problem } from "./problems.js";
import { readingLanguages, readingText } from "./reading.js";
import { record, VOICE } from "./recorder.js";
import { Sample } from "./sample.js";

// Source: the interface, POST /api/v1/voices.
const SHORTEST_S = 6;
const LONGEST_S = 30;
const CLOCK_MS = 200;
const N_BARS = 22;
const LABELS = { opening: "Opening", live: "Stop", ready: "Record again" };

/** What to show of the time, `elapsedS` after the recording began. */
export function countdownWords(elapsedS) {
  const missingS = SHORTEST_S - elapsedS;
  if (missingS > 0) return `${Math.ceil(missingS)} s more`;
  return `Enough; ${Math.max(0, Math.ceil(VOICE.limitS - elapsedS))} s left`;
}

export class VoiceSample extends Sample {
  #meter;
  #recording = null;
  #clock = 0;
  #player = new Audio();

  constructor(box) {
    super(box, "audio");
    this.#meter = new Meter(this.parts.meter, N_BARS);
    this.parts.record.addEventListener("click", () => this.attempt(() => this.#act()));
    this.parts.listen.addEventListener("click", () => this.#listen());
    this.parts.readingLanguage.addEventListener("change", () => this.#showText());
    for (const name of ["play", "pause"]) {
      this.#player.addEventListener(name, () => this.#showPlaying());
    }
    this.reset();
  }

  /** What can be read, in the languages that the voices here speak, first of all in `wanted`. */
  offerTexts(spoken, wanted) {
    const { readingLanguage: select } = this.parts;
    const tags = readingLanguages(spoken);
    select.replaceChildren(...tags.map((tag) => new Option(languageName(tag), tag)));
    if (tags.includes(wanted)) select.value = wanted;
    this.#showText();
  }

  set step(step) {
    super.step = step;
    const { record: button, recordIcon, recordLabel } = this.parts;
    recordLabel.textContent = LABELS[step] ?? "Record";
    recordIcon.setAttribute("href", step === "live" ? "#icon-stop" : "#icon-microphone");
    button.classList.toggle("live", step === "live");
    this.parts.choose.hidden = step === "live";
  }

  get step() {
    return super.step;
  }

  take() {
    this.#player.pause();
    return super.take();
  }

  reset() {
    this.#closeMicrophone()?.discard();
    this.#player.pause();
    URL.revokeObjectURL(this.#player.src);
    super.reset();
  }

  /** A file; its length is looked at before it travels, where the browser can. */
  async choose(file) {
    const lengthS = await this.#load(file);
    if (lengthS) checkLength(lengthS);
    this.#keep(file, lengthS ? `${file.name}, ${lengthS.toFixed(0)} s` : file.name);
  }

  async #act() {
    if (this.#recording) return this.#finish();
    if (this.step !== "opening") return this.#record();
  }

  async #record() {
    this.reset();
    const finish = () => this.attempt(() => this.#finish());
    this.#recording = await this.opened(record(finish, VOICE), (late) => late.discard());
    if (!this.#recording) return;
    this.step = "live";
    this.onSaid("Recording. Read the text aloud.");
    this.#clock = setInterval(() => this.#count(), CLOCK_MS);
    this.#count();
    const silent = () => this.onSaid("Nothing is heard. Is the microphone muted?");
    this.#meter.start(this.#recording.stream, silent);
  }

  #count() {
    const { elapsedS } = this.#recording;
    this.parts.countdown.textContent = countdownWords(elapsedS);
    if (elapsedS >= SHORTEST_S) this.onSaid("That is enough. Stop when you like.");
  }

  async #finish() {
    const recording = this.#closeMicrophone();
    const lengthS = recording.elapsedS;
    const sound = await recording.finish();
    checkLength(lengthS);
    await this.#load(sound);
    this.#keep(sound, `Recorded, ${lengthS.toFixed(0)} s`);
  }

  #closeMicrophone() {
    const recording = this.#recording;
    this.#recording = null;
    clearInterval(this.#clock);
    this.#meter.stop();
    return recording;
  }

  #keep(sound, what) {
    this.keep(sound);
    this.parts.what.textContent = what;
    this.onSaid(`${what}. Listen to it before you send it.`);
  }

  /** Readies the player; resolves with the length in seconds, 0 where it cannot be told. */
  #load(sound) {
    const player = this.#player;
    player.src = URL.createObjectURL(sound);
    return new Promise((resolve) => {
      player.onloadedmetadata = () => resolve(Number.isFinite(player.duration) ? player.duration : 0);
      player.onerror = () => resolve(0); // the server knows more kinds of files
    });
  }

  #listen() {
    if (!this.#player.paused) return this.#player.pause();
    this.#player.currentTime = 0;
    this.#player.play().catch(() => this.onSaid("This browser cannot play that kind of file."));
  }

  #showPlaying() {
    const isPlaying = !this.#player.paused;
    this.parts.listenLabel.textContent = isPlaying ? "Stop" : "Listen";
    this.parts.listenIcon.setAttribute("href", isPlaying ? "#icon-stop" : "#icon-play");
  }

  #showText() {
    const { reading, readingLanguage } = this.parts;
    reading.lang = readingLanguage.value;
    reading.textContent = readingText(readingLanguage.value);
  }
}

/** Throws `too_short` or `too_long`, so that a sample that will not do need not travel. */
function checkLength(lengthS) {
  const detail = `It has ${lengthS.toFixed(1)} s; ${SHORTEST_S} to ${LONGEST_S} s are needed.`;
  if (lengthS < SHORTEST_S) throw new Problem("too_short", { detail });
  if (lengthS > LONGEST_S) throw new Problem("too_long", { detail });
}
