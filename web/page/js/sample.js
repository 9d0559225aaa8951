// What is about to be sent: made here or out of a file, looked at or listened to, then taken.

import { partsOf } from "./parts.js";
import { Problem } from "./problems.js";

export class Sample {
  /** What to do with a failure, and with words for the status line. */
  onProblem = () => {};
  onSaid = () => {};
  parts;
  #box;
  #field;
  #blob = null;
  #nForgotten = 0;

  /** `field`: its name in the form. */
  constructor(box, field) {
    this.#box = box;
    this.#field = field;
    this.parts = partsOf(box);
    const { choose, file } = this.parts;
    choose.addEventListener("click", () => file.click());
    file.addEventListener("change", () => this.attempt(() => this.#choose()));
  }

  get step() {
    return this.#box.dataset.step;
  }

  /** "empty", "opening", "live" while a microphone or camera is open, or "ready". */
  set step(step) {
    this.#box.dataset.step = step;
    for (const part of this.#box.querySelectorAll("[data-during]")) {
      part.hidden = part.dataset.during !== step;
    }
  }

  /** Runs what may fail; a failure leaves no sample behind. */
  async attempt(work) {
    try {
      await work();
    } catch (problem) {
      this.reset();
      this.onProblem(problem);
    }
  }

  /** Resolves with what `opening` opens, or with null where it was left before, and closed it then. */
  async opened(opening, close) {
    const before = this.#nForgotten;
    this.step = "opening";
    const opened = await opening;
    if (before === this.#nForgotten) return opened;
    close(opened);
    return null;
  }

  keep(blob) {
    this.#blob = blob;
    this.step = "ready";
  }

  /** {field, blob}. Throws `sample_missing`. */
  take() {
    if (!this.#blob) throw new Problem("sample_missing");
    return { field: this.#field, blob: this.#blob };
  }

  /** Forgets the sample; subclasses close what they opened, too. */
  reset() {
    this.#nForgotten += 1;
    this.#blob = null;
    this.parts.file.value = "";
    this.step = "empty";
  }

  async #choose() {
    const [file] = this.parts.file.files;
    if (!file) return; // the browser's dialog was left
    this.reset();
    await this.choose(file);
  }
}
