// Server-sent events out of a fetch, since EventSource can neither POST nor send a key.

import { Problem } from "./problems.js";

/** Events out of text cut anywhere. Source: WHATWG HTML, "Server-sent events", section 9.2.6. */
export class SseParser {
  #rest = "";
  #endedInCr = false;
  #name = "";
  #data = [];

  /** Takes the next piece of text; returns the events it completes, as {name, data}. */
  push(text) {
    if (text === "") return [];
    // A CR that ended the last piece and the LF that begins this one are one line end.
    const piece = this.#endedInCr && text[0] === "\n" ? text.slice(1) : text;
    this.#endedInCr = piece.endsWith("\r");
    const lines = (this.#rest + piece).split(/\r\n|\r|\n/);
    this.#rest = lines.pop();
    return lines.map((line) => this.#take(line)).filter((event) => event !== null);
  }

  #take(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon); // "" for a comment
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#name = value;
    if (field === "data") this.#data.push(value);
    return null;
  }

  #dispatch() {
    const event = { name: this.#name || "message", data: this.#data.join("\n") };
    const isEmpty = this.#data.length === 0;
    this.#name = "";
    this.#data = [];
    return isEmpty ? null : event;
  }
}

/**
 * Yields the events of a response's body; closes the body when the caller leaves. Throws `cut` when
 * the connection is lost, AbortError when the caller ended it.
 */
export async function* readEvents(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parser = new SseParser();
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(lost);
      if (done) return;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    reader.cancel().catch(() => {}); // already failed or aborted: nothing is left to close
  }
}

function lost(error) {
  throw error.name === "AbortError" ? error : new Problem("cut");
}
