// Where the time went between the question's last byte and the first picture of the answer.

import { stretchesOf } from "./ladder.js";

const PARTS = [
  ["listen", "Listen", (t) => sum(t.decode_ms, t.asr_ms)],
  ["think", "Think", (t) => t.llm_first_token_ms],
  ["speak", "Speak", (t) => t.tts_first_audio_ms],
  ["draw", "Draw", (t) => t.avatar_first_frame_ms],
];

const WIDE = matchMedia("(min-width: 760px)"); // as in style.css

function sum(...numbers) {
  const known = numbers.filter((n) => n != null);
  return known.length ? known.reduce((a, b) => a + b) : null;
}

/** [{id, name, ms}] of the stages that had a part, and "other" for what none of them took. */
export function partsOf(timings) {
  const parts = PARTS.map(([id, name, of]) => ({ id, name, ms: of(timings) ?? null }));
  const taken = parts.filter((part) => part.ms !== null);
  const other = (timings.ttff_ms ?? 0) - sum(0, ...taken.map((part) => part.ms));
  return other >= 1 ? [...taken, { id: "other", name: "Other", ms: other }] : taken;
}

export function milliseconds(ms) {
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  return ms < 999.5 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

/** The figures that follow the parts, as [name, value, explanation]. */
export function figuresOf(timings, seenMs) {
  const figures = [
    ["TTFF", timings.ttff_ms, "The first picture is ready to leave the server"],
    ["TTFA", timings.ttfa_ms, "The first sound is ready to leave the server"],
    ["On your screen", seenMs, "From your click to the first picture here"],
    ["Total", timings.turn_ms, "Until the server had sent everything"],
  ];
  const shown = figures.filter(([, ms]) => ms != null).map(([n, ms, why]) => [n, milliseconds(ms), why]);
  if (timings.audio_s != null) shown.push(["Speech", `${timings.audio_s.toFixed(1)} s`, "Length"]);
  if (timings.rtf != null) {
    shown.push(["RTF", timings.rtf.toFixed(2), "Work over length: below 1 is faster than life"]);
  }
  return shown;
}

export class Timeline {
  #section;
  #bar;
  #headline;
  #parts;
  #figures;
  #reply;

  constructor(section) {
    this.#section = section;
    section.open = WIDE.matches; // a phone has no room for it before it is asked for
    this.#headline = section.querySelector("[data-headline]");
    this.#bar = section.querySelector("[data-bar]");
    this.#parts = section.querySelector("[data-parts]");
    this.#figures = section.querySelector("[data-figures]");
    this.#reply = section.querySelector("[data-reply]");
  }

  /** `seenMs`: from the user's click to the first picture on the screen. */
  show(timings, seenMs) {
    const parts = partsOf(timings);
    const first = timings.ttff_ms == null ? "" : milliseconds(timings.ttff_ms);
    this.#headline.textContent = first && `The answer began after ${first}`;
    this.#bar.replaceChildren(...parts.map(segment));
    this.#parts.replaceChildren(...parts.map((part) => pair(part.name, milliseconds(part.ms), part.id)));
    this.#figures.replaceChildren(
      ...figuresOf(timings, seenMs).map(([name, value, why]) => pair(name, value, "", why)),
    );
    this.#showReply(timings);
    this.#section.hidden = false;
  }

  /** The reply from its beginning to its end, where its face was not whole throughout. */
  #showReply({ ladder = [], audio_s: audioS }) {
    this.#reply.hidden = ladder.length === 0;
    this.#reply.replaceChildren(
      ...stretchesOf(ladder, audioS).map(({ level, s }) => segment({ id: level || "whole", ms: s * 1000 })),
    );
  }

  hide() {
    this.#section.hidden = true;
  }
}

function segment({ id, ms }) {
  const part = document.createElement("span");
  part.className = `part ${id}`;
  part.style.flexGrow = String(Math.max(ms, 0.5)); // a stage of no time is still to be seen
  return part;
}

function pair(name, value, className, why = "") {
  const group = document.createElement("div");
  const term = document.createElement("dt");
  const number = document.createElement("dd");
  group.className = className;
  group.title = why;
  term.textContent = name;
  number.textContent = value;
  group.append(term, number);
  return group;
}
