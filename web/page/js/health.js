// Whether the server is there and ready, asked again and again.

import { asSentence } from "./problems.js";

const SOON_MS = 1000; // while it loads or is gone
const LATER_MS = 15000; // while all is well

const PARTS = {
  ingress: "connection",
  vad: "speech detection",
  asr: "hearing",
  llm: "thinking",
  tts: "voice",
  avatar: "face",
};

/** What a person calls a deployment. */
export function partName(deployment) {
  return PARTS[deployment.toLowerCase()] ?? deployment;
}

/** Loading, failed and ready parts in one line. */
export function summary(health) {
  const parts = Object.entries(health.deployments);
  const named = (status) => parts.filter(([, d]) => d.status === status).map(([n]) => partName(n));
  if (named("failed").length) return `Could not start: ${named("failed").join(", ")}`;
  if (health.status === "loading") return `Loading: ${named("loading").join(", ") || "models"}`;
  if (health.status === "degraded") return "Limited";
  return "Ready";
}

/** Why a server that answers is not at its best, or "". */
export function troubles(health) {
  if (health.status !== "degraded") return "";
  const told = Object.entries(health.deployments).filter(([, { detail }]) => detail);
  const lines = told.map(([name, { detail }]) => asSentence(`${partName(name)}: ${detail}`));
  return lines.join(" ") || "Something stands in for a part that failed.";
}

/** Calls `onHealth(health)`, or `onGone(problem)`, now and whenever asked again. */
export class HealthWatch {
  #api;
  #on;
  #timer = 0;

  constructor(api, on) {
    this.#api = api;
    this.#on = on;
    document.addEventListener("visibilitychange", () => document.hidden || this.check());
  }

  async check() {
    clearTimeout(this.#timer);
    const isWell = await this.#ask();
    clearTimeout(this.#timer); // of another check that ran meanwhile
    const isWatched = !document.hidden; // a hidden page costs the server nothing
    if (isWatched) this.#timer = setTimeout(() => this.check(), isWell ? LATER_MS : SOON_MS);
  }

  async #ask() {
    try {
      const health = await this.#api.health();
      await this.#on.health(health);
      return health.status !== "loading";
    } catch (problem) {
      if (!problem.code) reportError(problem); // a fault of the page itself: for the console
      this.#on.gone(problem);
      return false;
    }
  }
}
