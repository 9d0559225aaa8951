// From the click to the last picture: one question at a time.

import { ladderWords } from "./ladder.js";
import { REST_LOST } from "./log.js";
import { openReply } from "./player.js";
import { record } from "./recorder.js";
import { ask } from "./turn.js";
import { Waiting } from "./waiting.js";

const CLOCK_MS = 200;

export class Conversation {
  #parts;
  #recording = null;
  #clock = 0;
  #turn = null;

  /**
   * `parts`: api, view, face, log, meter, timeline, video, choices(), restingState(), onDone(done),
   * onMissing() when something chosen is no longer there.
   */
  constructor(parts) {
    this.#parts = parts;
  }

  /** What the large button and the space bar do. */
  async act() {
    const { view } = this.#parts;
    if (view.state === "recording") return this.send();
    if (this.#turn) return this.stop();
    if (view.state === "idle" || view.state === "error") return this.listen();
  }

  /** Opens the microphone. */
  async listen() {
    const { view, meter } = this.#parts;
    view.hideProblem();
    view.state = "opening";
    try {
      this.#recording = await record(() => this.send());
    } catch (problem) {
      return this.#fail(problem);
    }
    view.state = "recording";
    view.elapsed(0);
    this.#clock = setInterval(() => view.elapsed(this.#recording.elapsedS), CLOCK_MS);
    meter.start(this.#recording.stream, () =>
      view.say("Nothing is heard. Is the microphone muted?"),
    );
  }

  /** Closes the microphone and asks what was recorded. */
  async send() {
    const recording = this.#closeMicrophone();
    if (!recording) return;
    this.#parts.view.state = "thinking";
    try {
      await this.ask({ audio: await recording.finish() });
    } catch (problem) {
      this.#fail(problem);
    }
  }

  /** Closes the microphone and forgets what was recorded. */
  discard() {
    this.#closeMicrophone()?.discard();
    this.#rest();
  }

  /** Ends the answer, here and on the server. */
  stop() {
    this.#turn?.stop();
  }

  /** Asks by `text` or `audio`; what is being answered gives way. */
  async ask(question) {
    const { view, api } = this.#parts;
    this.stop();
    view.hideProblem();
    view.state = "thinking";
    const turn = new Turn(this.#parts, question.text ?? "");
    this.#turn = turn;
    try {
      await turn.run(api, { ...this.#parts.choices(), ...question });
      if (this.#turn === turn) this.#rest();
    } catch (problem) {
      if (this.#turn === turn) this.#fail(problem, () => this.#askAgain(turn, question));
    } finally {
      if (this.#turn === turn) this.#turn = null;
    }
  }

  #askAgain(turn, question) {
    turn.forget();
    return this.ask(question);
  }

  #closeMicrophone() {
    const recording = this.#recording;
    this.#recording = null;
    clearInterval(this.#clock);
    this.#parts.meter.stop();
    return recording;
  }

  #rest() {
    this.#parts.view.state = this.#parts.restingState();
  }

  #fail(problem, onRetry = null) {
    const { view } = this.#parts;
    view.state = "error";
    view.showProblem(problem, onRetry);
    if (problem.code === "not_found") this.#parts.onMissing(); // a voice or a face, not the session
    if (!problem.code) throw problem; // a fault of the page itself belongs in the console too
  }
}

/** One question on its way. */
class Turn {
  #parts;
  #exchange;
  #reply = null;
  #nReceived = 0;
  #nAppended = 0;
  #askedAt = performance.now();
  #seenMs = null;
  #leaving = new AbortController();
  #waiting;

  constructor(parts, text) {
    this.#parts = parts;
    this.#waiting = new Waiting(parts.view);
    parts.view.note("ladder-note", "");
    this.#exchange = parts.log.begin();
    if (text) this.#exchange.asked(text);
    this.#showCounts();
  }

  /** Resolves when the answer was seen, or stopped. */
  async run(api, question) {
    try {
      const done = await ask(api, question, this, this.#leaving.signal);
      this.#parts.onDone(done);
      this.#parts.view.note("ladder-note", ladderWords(done.timings.ladder));
      await this.#seeToTheEnd();
      this.#parts.timeline.show(done.timings, this.#seenMs);
      this.#exchange.close(done.is_shortened ? REST_LOST : "");
    } catch (error) {
      if (error.name === "AbortError") return this.#exchange.close("stopped");
      await this.#seeToTheEnd().catch(() => {}); // what did arrive is shown, then the failure
      this.#exchange.close("broken off");
      throw error;
    } finally {
      this.#waiting.end();
      this.#parts.face.rest();
    }
  }

  stop() {
    this.#waiting.end();
    this.#leaving.abort(new DOMException("stopped", "AbortError"));
    this.#reply?.stop();
  }

  /** Takes a failed question off the page. */
  forget() {
    this.#exchange.remove();
  }

  queue(place) {
    this.#waiting.update(place);
  }

  transcript({ text, language }) {
    this.#waiting.end();
    this.#exchange.asked(text, language);
    this.#parts.view.announce(`You said: ${text}`);
  }

  /** Not announced: the face says it aloud, and two voices at once are none. */
  reply(delta) {
    this.#exchange.answered(delta);
  }

  video(bytes, mime) {
    this.#nReceived += 1;
    this.#reply ??= this.#open(mime);
    this.#reply.add(bytes);
    this.#showCounts();
  }

  #open(mime) {
    const { video, view } = this.#parts;
    const reply = openReply(video, mime, {
      onAppended: () => {
        this.#nAppended += 1;
        this.#showCounts();
      },
      onRefused: () => view.offerPlay(() => reply.play()),
    });
    reply.started.then(() => this.#speak());
    return reply;
  }

  #speak() {
    if (this.#leaving.signal.aborted) return;
    this.#seenMs = performance.now() - this.#askedAt;
    this.#parts.view.state = "speaking";
    this.#parts.face.speak();
  }

  async #seeToTheEnd() {
    if (!this.#reply) return;
    await untilAborted(this.#leaving.signal, this.#reply.finish());
    await untilAborted(this.#leaving.signal, this.#reply.ended);
  }

  #showCounts() {
    if (this.#leaving.signal.aborted) return; // the next turn counts now
    this.#parts.view.count("fragmentsReceived", this.#nReceived);
    this.#parts.view.count("fragmentsAppended", this.#nAppended);
  }
}

function untilAborted(signal, promise) {
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    promise.then(resolve, reject);
  });
}
