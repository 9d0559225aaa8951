// A place in the queue, in words that count down between what the server says.

const STEP_MS = 250;

/** For everybody, once per change. */
export function placeWords(position) {
  return position <= 1 ? "You are next in line" : `You are number ${position} in line`;
}

/** For the eyes: it changes every second. */
export function waitWords(seconds) {
  if (seconds <= 0) return "any moment now";
  return seconds > 90 ? `about ${Math.round(seconds / 60)} min` : `about ${Math.ceil(seconds)} s`;
}

export class Waiting {
  #view;
  #endsAt = 0;
  #position = 0;
  #timer = 0;

  constructor(view) {
    this.#view = view;
  }

  /** What the server says now; it counts from here. */
  update({ position, predicted_wait_s: waitS }) {
    this.#endsAt = performance.now() + waitS * 1000;
    if (position !== this.#position) this.#view.announce(`${placeWords(position)}, ${waitWords(waitS)}`);
    this.#position = position;
    this.#timer ||= setInterval(() => this.#show(), STEP_MS);
    this.#show();
  }

  /** The turn has begun, was refused or was left. */
  end() {
    if (!this.#timer) return;
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#position = 0;
    this.#view.wait("");
  }

  #show() {
    const leftS = (this.#endsAt - performance.now()) / 1000;
    this.#view.wait(placeWords(this.#position), waitWords(leftS));
  }
}
