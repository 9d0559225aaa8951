// Plays a reply while it arrives, where the browser can; otherwise when all of it is there.

import { Problem } from "./problems.js";

const KEPT_BEHIND_S = 10; // of what was played, when the browser's buffer is full

/** A reply in a <video>: `add` fragments in order, then `finish`; or `stop` at any time. */
class Reply {
  /** Resolves when it plays and its first picture is on the screen. */
  started;
  /** Resolves when the last one was; rejects when the browser cannot play it. */
  ended;
  #url = "";
  #listening = new AbortController();

  constructor(video, onRefused) {
    this.video = video;
    this.onRefused = onRefused;
    // A refused film shows its first picture too, but does not play; not every browser has "frame".
    const shown = video.requestVideoFrameCallback ? this.#when("frame") : null;
    this.started = Promise.all([shown, this.#when("playing")]);
    const failed = this.#when("error").then(() => Promise.reject(new Problem("cannot_play")));
    this.ended = Promise.race([this.#when("ended"), failed]);
    this.ended.catch(() => {}); // whoever awaits it is told; a stopped reply has nobody who does
  }

  /** Begins to play `source`, a Blob or a MediaSource. */
  open(source) {
    this.#url = URL.createObjectURL(source);
    this.video.src = this.#url;
    this.play();
  }

  async play() {
    try {
      await this.video.play();
    } catch (error) {
      if (error.name === "NotAllowedError") this.onRefused();
    }
  }

  stop() {
    this.#listening.abort();
    this.video.pause();
    URL.revokeObjectURL(this.#url);
  }

  #when(name) {
    return new Promise((resolve) => {
      if (name === "frame") this.video.requestVideoFrameCallback(() => resolve());
      else this.video.addEventListener(name, resolve, { once: true, signal: this.#listening.signal });
    });
  }
}

class StreamedReply extends Reply {
  #source;
  #buffer;
  #appends;
  #onAppended;

  constructor(video, Source, mime, { onAppended, onRefused }) {
    super(video, onRefused);
    this.#onAppended = onAppended;
    this.#source = new Source();
    // Safari plays a ManagedMediaSource only where no other screen can take the film over.
    video.disableRemotePlayback = true;
    const opened = next(this.#source, "sourceopen");
    this.#appends = opened.then(() => {
      this.#buffer = this.#source.addSourceBuffer(mime);
    });
    this.open(this.#source);
  }

  /** Queues a fragment: a SourceBuffer takes one at a time. */
  add(bytes) {
    this.#appends = this.#appends.then(() => this.#append(bytes));
    this.#appends.catch(() => {}); // `finish` tells
  }

  async finish() {
    await this.#appends;
    if (this.#source.readyState === "open") this.#source.endOfStream();
  }

  async #append(bytes) {
    if (this.#source.readyState !== "open") return; // stopped meanwhile
    try {
      this.#buffer.appendBuffer(bytes);
    } catch (error) {
      if (error.name !== "QuotaExceededError") throw new Problem("cannot_play");
      await this.#makeRoom();
      return this.#append(bytes);
    }
    await next(this.#buffer, "updateend");
    this.#onAppended();
  }

  /** Drops what was played long ago, once there is such. */
  async #makeRoom() {
    const end = this.video.currentTime - KEPT_BEHIND_S;
    if (end <= 0) return next(this.video, "timeupdate");
    this.#buffer.remove(0, end);
    return next(this.#buffer, "updateend");
  }
}

class WholeReply extends Reply {
  #pieces = [];
  #onAppended;

  constructor(video, { onAppended, onRefused }) {
    super(video, onRefused);
    this.#onAppended = onAppended;
  }

  add(bytes) {
    this.#pieces.push(bytes);
    this.#onAppended();
  }

  async finish() {
    this.open(new Blob(this.#pieces, { type: "video/mp4" }));
  }
}

function next(target, name) {
  return new Promise((resolve) => target.addEventListener(name, resolve, { once: true }));
}

/** `mime` is that of the first fragment. `on`: onAppended(), onRefused() when play needs a click. */
export function openReply(video, mime, on) {
  const Source = window.MediaSource ?? window.ManagedMediaSource;
  if (Source?.isTypeSupported(mime)) return new StreamedReply(video, Source, mime, on);
  return new WholeReply(video, on);
}
